#include "envd/process/doorbell.h"

#include <utility>

#include "core/base/error.h"

namespace wrenn::envd::process {

void Doorbell::ring() {
  if (std::exchange(rung_, true)) return;
  timer_.cancel();
}

Task<bool> Doorbell::wait_until(SteadyTime time) {
  if (!rung_) {
    timer_.expires_at(time);
    asio::error_code error;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw Error(ErrorCode::canceled, "wait: cancelled");
  }
  co_return std::exchange(rung_, false);
}

Task<> Doorbell::wait() {
  while (!co_await wait_until(SteadyTime::max())) {
  }
}

}  // namespace wrenn::envd::process
