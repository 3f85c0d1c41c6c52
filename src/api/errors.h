// One table: ErrorCode ↔ HTTP status ↔ the `code` of the public error envelope (spec/rest-api.md §0.1).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace wrenn::api {

// A failure whose public code is more exact than its ErrorCode: Error(not_found) is always "not_found", but a
// failed_precondition may be "invalid_state", "conflict", "host_unavailable", ….
class PublicError : public Error {
 public:
  PublicError(ErrorCode code, int status, std::string public_code, std::string message)
      : Error(code, std::move(message)), status_(status), public_code_(std::move(public_code)) {}
  int status() const noexcept { return status_; }
  const std::string& public_code() const noexcept { return public_code_; }

 private:
  int status_;
  std::string public_code_;
};

// 429 rate_limited; the answer's Retry-After tells how long to wait.
class RateLimited : public PublicError {
 public:
  explicit RateLimited(std::chrono::seconds wait);
  std::chrono::seconds wait() const noexcept { return wait_; }

 private:
  std::chrono::seconds wait_;
};

struct PublicStatus {
  int status;
  std::string_view code;
};
PublicStatus public_status(ErrorCode code) noexcept;

// {"error":{"code":…,"message":…}}
std::string error_envelope(std::string_view code, std::string_view message);

// 409 invalid_state "sandbox is not running (status: paused)".
[[noreturn]] void throw_invalid_state(std::string message);

}  // namespace wrenn::api
