#include "core/http/headers.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/http/characters.h"

namespace wrenn::http {

Headers::Headers(std::initializer_list<Field> fields) {
  fields_.reserve(fields.size());
  for (const auto& [name, value] : fields) add(name, value);
}

std::optional<std::string_view> Headers::get(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields_)
    if (equals_ignoring_case(key, name)) return value;
  return std::nullopt;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields_)
    if (equals_ignoring_case(key, name)) values.emplace_back(value);
  return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const noexcept {
  for (const auto& [key, value] : fields_) {
    if (!equals_ignoring_case(key, name)) continue;
    std::string_view rest = value;
    for (;;) {
      const auto comma = rest.find(',');
      if (equals_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      if (comma == rest.npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

void Headers::set(std::string_view name, std::string_view value) {
  // The arguments may point into the field that is replaced.
  Headers replacement;
  replacement.add(name, value);
  remove(replacement.fields_.front().first);
  fields_.push_back(std::move(replacement.fields_.front()));
}

void Headers::add(std::string_view name, std::string_view value) {
  if (!is_token(name)) throw_error(ErrorCode::invalid_argument, "\"{}\" is no name of a header field", name);
  if (!is_field_value(value))
    throw_error(ErrorCode::invalid_argument, "the value of header field {} has control characters", name);
  add_checked(name, trim(value));
}

void Headers::remove(std::string_view name) noexcept {
  std::erase_if(fields_, [&](const Field& field) { return equals_ignoring_case(field.first, name); });
}

}  // namespace wrenn::http
