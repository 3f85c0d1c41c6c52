#include "envd/answers.h"

#include <cerrno>

#include "core/base/error.h"
#include "core/json/writer.h"

namespace wrenn::envd {

namespace {

bool is_disk_full(std::exception_ptr failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const SystemError& error) {
    return error.errno_value() == ENOSPC || error.errno_value() == EDQUOT;
  } catch (...) {
    return false;
  }
}

}  // namespace

http::Response plain_error(int status, std::string_view message) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("code", status);
  writer.member("message", message);
  writer.end_object();
  return http::json_response(status, std::move(text));
}

int plain_status(std::exception_ptr failure) noexcept {
  if (is_disk_full(failure)) return 507;
  switch (code_of(failure)) {
    case ErrorCode::invalid_argument:
    case ErrorCode::failed_precondition:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::deadline_exceeded:
      return 408;
    case ErrorCode::already_exists:
    case ErrorCode::aborted:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::resource_exhausted:
      return 429;
    case ErrorCode::unimplemented:
      return 501;
    case ErrorCode::unavailable:
      return 503;
    default:
      return 500;
  }
}

http::Response plain_error(std::exception_ptr failure) {
  if (is_disk_full(failure)) return plain_error(507, "not enough disk space available");
  return plain_error(plain_status(failure), describe(failure));
}

}  // namespace wrenn::envd
