#include "cp/errors.h"

#include "api/errors.h"
#include "core/log/log.h"

namespace wrenn::cp {

static constexpr std::string_view kInternal = "an internal error occurred";

static constexpr std::int64_t kRetryAfterS = 5;

static std::string code_of_status(int status) {
  if (status == 413 || status == 414 || status == 431) return "too_large";
  if (status == 404) return "not_found";
  if (status >= 400 && status < 500) return "invalid_request";
  if (status == 501) return "unimplemented";
  if (status == 503) return "overloaded";
  return "internal_error";
}

Failure failure_of(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const api::RateLimited& e) {
    return {e.status(), e.public_code(), e.what(), e.wait().count()};
  } catch (const api::PublicError& e) {
    return {e.status(), e.public_code(), e.what(), e.status() == 503 ? kRetryAfterS : 0};
  } catch (const Error& e) {
    const auto told = api::public_status(e.code());
    switch (e.code()) {
      // Calls to hosts and guests have become PublicErrors before they come here, so this is our own database
      // …
      case ErrorCode::unavailable:
        return {503, "db_unavailable", "the database does not answer; try again", kRetryAfterS};
      // … and this the client's body that stalled.
      case ErrorCode::deadline_exceeded:
        return {408, "invalid_request", e.what()};
      case ErrorCode::canceled:
        return {503, "overloaded", "the server is shutting down — try again", kRetryAfterS};
      case ErrorCode::internal:
      case ErrorCode::unknown:
      case ErrorCode::data_loss:
        return {500, "internal_error", std::string(kInternal)};
      default:
        return {told.status, std::string(told.code), e.what()};
    }
  } catch (...) {
    return {500, "internal_error", std::string(kInternal)};
  }
}

http::Response render_error(int status, std::exception_ptr error, const http::Request* request) {
  Failure failure;
  if (request == nullptr || !error) {
    // Refused by the HTTP server before any of our code: its status is exact.
    failure.status = status;
    failure.code = code_of_status(status);
    failure.message = error ? describe(error) : std::string(http::reason_phrase(status));
    if (status == 503) failure.retry_after_s = kRetryAfterS;
  } else {
    failure = failure_of(error);
  }
  if (failure.status >= 500 && (failure.message == kInternal || failure.code == "db_unavailable"))
    log::error("request failed", {{"path", request != nullptr ? request->path : std::string()},
                                  {"error", error ? describe(error) : std::string()}});
  auto response = http::json_response(failure.status, api::error_envelope(failure.code, failure.message));
  if (failure.status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"wrenn\"");
  if (failure.retry_after_s > 0) response.headers.set("Retry-After", std::to_string(failure.retry_after_s));
  return response;
}

}  // namespace wrenn::cp
