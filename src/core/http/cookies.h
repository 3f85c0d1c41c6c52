// Cookies (RFC 6265).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/headers.h"

namespace wrenn::http {

// The value of the first cookie of that name in the Cookie fields, quotes around it removed; absent if there
// is none.
std::optional<std::string_view> cookie(const Headers& headers, std::string_view name) noexcept;

struct SetCookie {
  std::string name, value;  // value: no spaces, quotes, commas, semicolons, backslashes
  std::string path = "/";
  std::chrono::seconds max_age{0};  // 0: the browser forgets it at once
  bool http_only = true;            // scripts do not see it
  bool secure = false;              // over TLS only
};
// The value of a Set-Cookie field; SameSite is Lax. Throws Error(invalid_argument) for a name or value that
// cannot be one.
std::string render(const SetCookie& cookie);

}  // namespace wrenn::http
