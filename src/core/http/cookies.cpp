#include "core/http/cookies.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::http {

std::optional<std::string_view> cookie(const Headers& headers, std::string_view name) noexcept {
  for (const auto& [field, text] : headers.fields()) {
    if (!equals_ignoring_case(field, "Cookie")) continue;
    std::string_view rest = text;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(';'), rest.size());
      const auto pair = trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const auto equals = pair.find('=');
      if (equals == std::string_view::npos || trim(pair.substr(0, equals)) != name) continue;
      auto value = trim(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
        value = value.substr(1, value.size() - 2);
      return value;
    }
  }
  return std::nullopt;
}

// cookie-octet of RFC 6265 §4.1.1; '=' cannot stand in a name.
static bool is_plain(std::string_view text, std::string_view also_bad) noexcept {
  return std::all_of(text.begin(), text.end(), [also_bad](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\' &&
           also_bad.find(c) == std::string_view::npos;
  });
}

std::string render(const SetCookie& cookie) {
  if (cookie.name.empty() || !is_plain(cookie.name, "=") || !is_plain(cookie.value, "") ||
      !is_plain(cookie.path, ""))
    throw_error(ErrorCode::invalid_argument,
                "cookie {}: name, value or path has characters that cannot stand there", cookie.name);
  auto text = fmt::format("{}={}; Path={}; Max-Age={}; SameSite=Lax", cookie.name, cookie.value, cookie.path,
                          cookie.max_age.count());
  if (cookie.http_only) text += "; HttpOnly";
  if (cookie.secure) text += "; Secure";
  return text;
}

}  // namespace wrenn::http
