#include "cp/authenticator.h"

#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::cp {

Task<std::optional<service::Caller>> Authenticator::find(const http::Request& request) {
  static constexpr std::string_view kBearer = "Bearer ";
  if (const auto key = request.headers.get("X-API-Key")) {
    auto caller = co_await keys_.find(std::string(*key));
    if (!caller) throw_error(ErrorCode::unauthenticated, "invalid API key");
    co_return caller;
  }
  if (const auto field = request.headers.get("Authorization")) {
    const bool bearer =
        field->size() > kBearer.size() && equals_ignoring_case(field->substr(0, kBearer.size()), kBearer);
    auto caller =
        co_await keys_.find(std::string(trim(bearer ? field->substr(kBearer.size()) : std::string_view())));
    if (!caller) throw_error(ErrorCode::unauthenticated, "invalid or expired token");
    co_return caller;
  }
  co_return std::nullopt;
}

Task<service::Caller> Authenticator::require(const http::Request& request) {
  auto caller = co_await find(request);
  if (!caller) throw_error(ErrorCode::unauthenticated, "X-API-Key or Authorization: Bearer <token> required");
  co_return std::move(*caller);
}

Task<std::optional<service::Caller>> Authenticator::find(std::string token) {
  co_return co_await keys_.find(std::move(token));
}

}  // namespace wrenn::cp
