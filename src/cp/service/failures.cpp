#include "cp/service/failures.h"

#include "api/errors.h"
#include "core/async/task.h"

namespace wrenn::cp::service {

static constexpr std::string_view kNoHosts = "no servers available — try again later";

static void throw_common(const Error& error) {
  const std::string text = error.what();
  switch (error.code()) {
    case ErrorCode::not_found:
    case ErrorCode::invalid_argument:
    case ErrorCode::permission_denied:
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::aborted:
    case ErrorCode::too_large:
    case ErrorCode::resource_exhausted: {
      const auto status = api::public_status(error.code());
      throw api::PublicError(error.code(), status.status, std::string(status.code), text);
    }
    case ErrorCode::unimplemented:
      throw api::PublicError(error.code(), 501, "agent_error", text);
    default:
      throw api::PublicError(error.code(), 502, "agent_error", text);
  }
}

void throw_create_failure(std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const api::PublicError&) {
    throw;
  } catch (const Error& error) {
    if (async::is_cancellation(failure)) throw;
    if (error.code() == ErrorCode::unavailable)
      throw api::PublicError(error.code(), 503, "no_hosts_available",
                             fmt::format("{} ({})", kNoHosts, error.what()));
    throw_common(error);
    throw;
  }
}

[[noreturn]] static void throw_failure(std::exception_ptr failure, std::string_view who) {
  try {
    std::rethrow_exception(failure);
  } catch (const api::PublicError&) {
    throw;
  } catch (const Error& error) {
    if (async::is_cancellation(failure)) throw;
    if (error.code() == ErrorCode::unavailable)
      throw api::PublicError(error.code(), 503, "host_unavailable",
                             fmt::format("{} does not answer: {}", who, error.what()));
    throw_common(error);
    throw;
  }
}

void throw_agent_failure(std::exception_ptr failure) {
  throw_failure(std::move(failure), "the capsule or its host");
}

void throw_host_failure(std::exception_ptr failure) {
  throw_failure(std::move(failure), "the host");
}

void throw_wrong_state(const store::Sandbox& sandbox, std::string_view wanted) {
  api::throw_invalid_state(fmt::format("sandbox is not {} (status: {})", wanted, to_string(sandbox.status)));
}

void throw_sandbox_not_found() {
  throw_error(ErrorCode::not_found, "sandbox not found");
}

}  // namespace wrenn::cp::service
