#include "cp/authenticator.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/secret.h"
#include "core/base/text.h"
#include "core/http/cookies.h"

namespace wrenn::cp {

using service::Caller;

// --- cookies
// --------------------------------------------------------------------------------------------------------
//
// A browser sends our cookie with whatever a page of somebody else makes it ask. So a cookie alone only
// reads: what changes something must show that it can read the other cookie, which foreign pages cannot. A
// WebSocket cannot set fields, but the browser says truly which page opens it.

static bool only_reads(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

bool Authenticator::comes_from_our_page(const http::Request& request) const {
  const auto origin = request.headers.get("Origin");
  if (!origin) return false;
  if (std::find(origins_.begin(), origins_.end(), *origin) != origins_.end()) return true;
  const auto host = request.headers.get("Host");
  const auto scheme_end = origin->find("://");
  return host && scheme_end != std::string_view::npos &&
         equals_ignoring_case(origin->substr(scheme_end + 3), *host);
}

void Authenticator::refuse_foreign_page(const http::Request& request) const {
  if (request.headers.get("Origin") && !comes_from_our_page(request))
    throw_error(ErrorCode::permission_denied,
                "a page of another origin cannot sign you in; app.allowed_origins names those that may");
}

Task<Caller> Authenticator::by_cookie(const http::Request& request, std::string token) {
  if (request.headers.has_token("Upgrade", "websocket")) {
    if (!comes_from_our_page(request))
      throw_error(ErrorCode::permission_denied,
                  "a page of another origin cannot open this with your session");
  } else if (!only_reads(request.method)) {
    const auto told = request.headers.get(kCsrfHeader);
    if (!told || !constant_time_equal(*told, service::csrf_token(token)))
      throw_error(ErrorCode::permission_denied, "csrf: {} must hold the value of the cookie {}", kCsrfHeader,
                  kCsrfCookie);
  }
  auto caller = co_await credentials_.find(std::move(token));
  if (!caller) throw_error(ErrorCode::unauthenticated, "the session has ended; sign in again");
  co_return std::move(*caller);
}

// --- all
// ------------------------------------------------------------------------------------------------------------

Task<std::optional<Caller>> Authenticator::find(const http::Request& request) {
  static constexpr std::string_view kBearer = "Bearer ";
  if (const auto key = request.headers.get("X-API-Key")) {
    auto caller = co_await credentials_.find(std::string(*key));
    if (!caller || caller->user) throw_error(ErrorCode::unauthenticated, "invalid API key");
    co_return caller;
  }
  if (const auto field = request.headers.get("Authorization")) {
    const bool bearer =
        field->size() > kBearer.size() && equals_ignoring_case(field->substr(0, kBearer.size()), kBearer);
    auto caller = co_await credentials_.find(
        std::string(trim(bearer ? field->substr(kBearer.size()) : std::string_view())));
    if (!caller) throw_error(ErrorCode::unauthenticated, "invalid or expired token");
    co_return caller;
  }
  if (const auto token = http::cookie(request.headers, kSessionCookie))
    co_return co_await by_cookie(request, std::string(*token));
  co_return std::nullopt;
}

Task<Caller> Authenticator::require(const http::Request& request) {
  auto caller = co_await find(request);
  if (!caller) throw_error(ErrorCode::unauthenticated, "X-API-Key or Authorization: Bearer <token> required");
  co_return std::move(*caller);
}

Task<Caller> Authenticator::require_user(const http::Request& request) {
  auto caller = co_await find(request);
  if (!caller) throw_error(ErrorCode::unauthenticated, "authentication required: sign in");
  if (!caller->user)
    throw_error(ErrorCode::permission_denied, "this is for signed-in users; an API key cannot do it");
  co_return std::move(*caller);
}

Task<Caller> Authenticator::require_admin(const http::Request& request) {
  auto caller = co_await require_user(request);
  co_return as_admin(std::move(caller));
}

Caller Authenticator::as_admin(Caller caller) {
  if (!caller.user || !caller.is_admin) throw_error(ErrorCode::permission_denied, "admin access required");
  caller.team = model::kPlatformTeam;
  caller.role = model::Role::owner;
  caller.for_platform = true;
  return caller;
}

Task<std::optional<Caller>> Authenticator::find(std::string token) {
  co_return co_await credentials_.find(std::move(token));
}

}  // namespace wrenn::cp
