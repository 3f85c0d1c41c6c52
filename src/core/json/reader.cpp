#include "core/json/reader.h"

#include <simdjson.h>

#include "core/base/error.h"
#include "core/base/limits.h"

namespace wrenn::json {

// A value takes some forty bytes here and a struct made of it hundreds, but "{}," only three in a text.
// Honest texts of the greatest size that is read anywhere (16 MiB) have fewer than this.
static constexpr std::size_t kValuesMax = 1'000'000;

static Value convert(simdjson::dom::element element, std::size_t& values) {
  if (++values > kValuesMax)
    throw_error(ErrorCode::invalid_argument, "malformed JSON: more than {} values", kValuesMax);
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::NULL_VALUE:
      return {};
    case element_type::BOOL:
      return bool(element);
    case element_type::INT64:
      return std::int64_t(element);
    case element_type::UINT64:
      return std::uint64_t(element);
    case element_type::DOUBLE:
      return double(element);
    case element_type::STRING:
      return std::string(std::string_view(element));
    case element_type::ARRAY: {
      Value::Array array;
      for (const auto item : simdjson::dom::array(element)) array.push_back(convert(item, values));
      return array;
    }
    case element_type::OBJECT: {
      Value::Object object;
      for (const auto [key, value] : simdjson::dom::object(element))
        object.emplace_back(std::string(key), convert(value, values));
      return object;
    }
  }
  return {};
}

// A parser needs about 15 bytes for each byte of its text and never gives them back. So one is kept for texts
// up to this, and a longer one has its own.
static constexpr std::size_t kKeptTextBytes = 256 * 1024;

static Value parse_with(simdjson::dom::parser& parser, std::string_view text, int depth) {
  simdjson::dom::element root;
  auto error = parser.allocate(std::max<std::size_t>(text.size(), 1), static_cast<std::size_t>(depth));
  if (!error) error = parser.parse(text.data(), text.size()).get(root);
  if (error) throw_error(ErrorCode::invalid_argument, "malformed JSON: {}", simdjson::error_message(error));
  std::size_t values = 0;
  return convert(root, values);
}

Value parse(std::string_view text, int depth) {
  if (text.size() > kKeptTextBytes) {
    simdjson::dom::parser parser;
    return parse_with(parser, text, depth);
  }
  // One parser a thread: it keeps its buffers, and loop and pool threads both parse.
  thread_local simdjson::dom::parser parser;
  return parse_with(parser, text, depth);
}

}  // namespace wrenn::json
