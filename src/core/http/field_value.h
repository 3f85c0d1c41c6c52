// Field values of the form `value; name=text; name="quoted text"`: Content-Type, Content-Disposition (RFC
// 9110 §5.6).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wrenn::http {

struct FieldValue {
  std::string value;                                              // lower case: "multipart/form-data"
  std::vector<std::pair<std::string, std::string>> parameters;    // names in lower case, texts without quotes
  const std::string* find(std::string_view name) const noexcept;  // null if absent
};

// Absent if malformed or if a parameter comes twice. In quotes a backslash stands before '"' and '\' only;
// elsewhere it is itself, because browsers send it unescaped.
std::optional<FieldValue> parse_field_value(std::string_view text);

// `UTF-8'language'percent-encoded` of a parameter whose name ends with '*' (RFC 8187). Absent if malformed or
// in another character set.
std::optional<std::string> decode_extended(std::string_view text);

}  // namespace wrenn::http
