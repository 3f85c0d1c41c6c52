// Times in HTTP fields (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", whole seconds.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace wrenn::envd::files {

std::string to_http_time(std::time_t time);
// The preferred form only; absent for anything else.
std::optional<std::time_t> parse_http_time(std::string_view text);

}  // namespace wrenn::envd::files
