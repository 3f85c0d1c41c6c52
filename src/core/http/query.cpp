#include "core/http/query.h"

#include <algorithm>
#include <optional>

#include "core/base/codec.h"
#include "core/http/message.h"

namespace wrenn::http {

// `take` gets each value, absent if malformed; it returns false to stop.
template <typename Take>
static void each_value(std::string_view query, std::string_view name, Take take) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    const auto key = percent_decode(pair.substr(0, equals), true);
    if (!key || *key != name) continue;
    if (!take(percent_decode(equals == pair.npos ? std::string_view() : pair.substr(equals + 1), true)))
      return;
  }
}

std::optional<std::string> Request::query_value(std::string_view name) const {
  std::optional<std::string> first;
  each_value(query, name, [&first](std::optional<std::string> value) {
    first = std::move(value);
    return false;
  });
  return first;
}

std::vector<std::string> query_values(std::string_view query, std::string_view name) {
  std::vector<std::string> values;
  each_value(query, name, [&values](std::optional<std::string> value) {
    if (value) values.push_back(std::move(*value));
    return true;
  });
  return values;
}

}  // namespace wrenn::http
