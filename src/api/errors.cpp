#include "api/errors.h"

#include "core/json/writer.h"

namespace wrenn::api {

RateLimited::RateLimited(std::chrono::seconds wait)
    : PublicError(ErrorCode::resource_exhausted, 429, "rate_limited",
                  fmt::format("too many attempts; try again in {} s", wait.count())),
      wait_(wait) {}

PublicStatus public_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return {400, "invalid_request"};
    case ErrorCode::unauthenticated:
      return {401, "unauthorized"};
    case ErrorCode::permission_denied:
      return {403, "forbidden"};
    case ErrorCode::not_found:
      return {404, "not_found"};
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::aborted:
      return {409, "conflict"};
    case ErrorCode::too_large:
      return {413, "too_large"};
    case ErrorCode::resource_exhausted:
      return {507, "resource_exhausted"};
    case ErrorCode::unimplemented:
      return {501, "agent_error"};
    case ErrorCode::unavailable:
      return {503, "host_unavailable"};
    case ErrorCode::deadline_exceeded:
    case ErrorCode::canceled:
      return {502, "agent_error"};
    case ErrorCode::unknown:
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      return {500, "internal_error"};
  }
  return {500, "internal_error"};
}

std::string error_envelope(std::string_view code, std::string_view message) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.key("error");
  writer.begin_object();
  writer.member("code", code);
  writer.member("message", message);
  writer.end_object();
  writer.end_object();
  return text;
}

void throw_invalid_state(std::string message) {
  throw PublicError(ErrorCode::failed_precondition, 409, "invalid_state", std::move(message));
}

}  // namespace wrenn::api
