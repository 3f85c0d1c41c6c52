#include "cp/service/operation.h"

#include "core/base/clock.h"
#include "core/base/scope_guard.h"

namespace wrenn::cp::service {

async::Task<std::optional<store::Sandbox>> Operation::wait(std::chrono::steady_clock::duration patience) {
  ++waiting_;
  ScopeGuard leave([this] { --waiting_; });
  const auto until = SteadyClock::now() + patience;
  while (!done_) {
    const auto left = until - SteadyClock::now();
    if (left <= SteadyClock::duration::zero()) co_return std::nullopt;
    co_await ended_.wait_for(left);
  }
  if (error_) std::rethrow_exception(error_);
  co_return result_;
}

}  // namespace wrenn::cp::service
