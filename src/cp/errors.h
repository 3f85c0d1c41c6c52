// The one place where failures become answers.
#pragma once

#include <exception>
#include <string>

#include "core/http/message.h"

namespace wrenn::cp {

struct Failure {
  int status = 500;
  std::string code;
  std::string message;
  std::int64_t retry_after_s = 0;  // 0: nothing is said of it
};

// What the user is told of `error`. Inner failures are told as "an internal error occurred".
Failure failure_of(std::exception_ptr error);

// For http::ServerOptions: also for requests that the server itself refused, where `error` may be null and
// `status` says why. Logs what the user is not told.
http::Response render_error(int status, std::exception_ptr error, const http::Request* request);

}  // namespace wrenn::cp
