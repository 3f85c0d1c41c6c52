// What a failed call to an agent or to a guest means to the user (spec/rest-api.md §0.1).
#pragma once

#include <exception>

#include "core/async/task.h"
#include "core/base/error.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

// While a host is looked for: unavailable → 503 no_hosts_available.
[[noreturn]] void throw_create_failure(std::exception_ptr error);
// On a capsule that has its host: not_found 404, invalid_argument 400, already_exists and failed_precondition
// 409 conflict, permission_denied 403, unavailable 503 host_unavailable, unimplemented 501, everything else
// 502 agent_error. PublicErrors and cancellation pass.
[[noreturn]] void throw_agent_failure(std::exception_ptr error);
// The same of a question about the host itself.
[[noreturn]] void throw_host_failure(std::exception_ptr error);

// Awaits a call to an agent or a guest; its failure goes through throw_agent_failure().
template <typename T>
async::Task<T> from_agent(async::Task<T> call) {
  std::exception_ptr failure;
  try {
    co_return co_await std::move(call);
  } catch (...) {
    failure = std::current_exception();
  }
  throw_agent_failure(failure);
}

// 409 "sandbox is not running (status: paused)"; `wanted` is "running" or "paused".
[[noreturn]] void throw_wrong_state(const store::Sandbox& sandbox, std::string_view wanted);
[[noreturn]] void throw_sandbox_not_found();

}  // namespace wrenn::cp::service
