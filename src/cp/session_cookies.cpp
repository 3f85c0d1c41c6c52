#include "cp/session_cookies.h"

#include "core/http/cookies.h"
#include "cp/authenticator.h"
#include "cp/limits.h"

namespace wrenn::cp {

static void set(http::Reply& reply, std::string_view token, const ClientOrigin& origin,
                std::chrono::seconds max_age) {
  http::SetCookie cookie;
  cookie.name = kSessionCookie;
  cookie.value = token;
  cookie.max_age = max_age;
  cookie.secure = origin.https;
  reply.headers.add("Set-Cookie", http::render(cookie));
  // Our pages read this one and send it back in a field.
  cookie.name = kCsrfCookie;
  cookie.value = token.empty() ? "" : service::csrf_token(token);
  cookie.http_only = false;
  reply.headers.add("Set-Cookie", http::render(cookie));
}

void set_session_cookies(http::Reply& reply, std::string_view token, const ClientOrigin& origin) {
  set(reply, token, origin, limits::kSessionLifetime);
}

void clear_session_cookies(http::Reply& reply, const ClientOrigin& origin) {
  set(reply, "", origin, std::chrono::seconds(0));
}

}  // namespace wrenn::cp
