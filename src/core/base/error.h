// Failures. wrenn has three channels and never mixes them: an exception (wrenn::Error) for failure,
// std::optional for absence, an enum for refusal. Only edges catch: the connection loop, a worker, a sandbox
// driver, main. `api/errors` maps each code to one HTTP status and one JSON code.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace wrenn {

// The names follow the codes of Connect/gRPC (connectrpc.com/docs/protocol, "Error codes"), so that one
// enum serves the REST envelope, Connect errors and our own logic.
enum class ErrorCode {
  canceled,
  unknown,
  invalid_argument,
  deadline_exceeded,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,  // a limit or quota, also a full disk
  failed_precondition,  // the thing exists but its state does not allow this
  aborted,
  too_large,  // HTTP 413/431; Connect has no own code and gets resource_exhausted
  unimplemented,
  internal,
  unavailable,
  data_loss,
  unauthenticated,
};

// "not_found", "invalid_argument", …: the spelling of Connect; too_large is "resource_exhausted" there.
std::string_view to_string(ErrorCode code) noexcept;

class Error : public std::runtime_error {
 public:
  // `message` says what failed, why, and where possible what to do; it may be shown to the caller.
  Error(ErrorCode code, std::string message) : std::runtime_error(std::move(message)), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// A failed system call: carries errno and a code derived from it (ENOENT → not_found, EEXIST →
// already_exists, EACCES/EPERM → permission_denied, ENOSPC/EDQUOT/EMFILE/ENOMEM → resource_exhausted,
// ETIMEDOUT → deadline_exceeded, ECONNREFUSED/ECONNRESET/EPIPE/EHOSTUNREACH → unavailable, otherwise internal).
class SystemError : public Error {
 public:
  SystemError(int errno_value, std::string_view what);
  int errno_value() const noexcept { return errno_; }

 private:
  int errno_;
};

template <typename... Args>
[[noreturn]] void throw_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// Throws SystemError with the current errno: throw_errno("open {}", path) → "open /x: No such file or directory".
template <typename... Args>
[[noreturn]] void throw_errno(fmt::format_string<Args...> format, Args&&... args) {
  const int saved = errno;
  throw SystemError(saved, fmt::format(format, std::forward<Args>(args)...));
}

// "resume sandbox cl-…: connect to QMP: Connection refused": the message and those of nested causes
// (std::throw_with_nested), outermost first.
std::string describe(const std::exception& error);
std::string describe(std::exception_ptr error);

// Code of any exception: Error's own, else internal.
ErrorCode code_of(std::exception_ptr error) noexcept;

}  // namespace wrenn
