#include "core/async/event.h"

#include "core/async/scope.h"
#include "core/base/error.h"

namespace wrenn::async {

// Waiters wait on a timer that never expires; cancelling its waits is the announcement. A waiter tells an
// announcement from its own cancellation by the cancellation state of its coroutine.
Event::Event(Executor executor) : timer_(executor, asio::steady_timer::time_point::max()) {}

void Event::notify_all() { timer_.cancel(); }

Task<> Event::wait() {
  asio::error_code error;
  co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw Error(ErrorCode::canceled, "wait: cancelled");
}

Task<bool> Event::wait_for(std::chrono::steady_clock::duration duration) {
  auto waiting = wait();
  auto sleeping = sleep(duration);
  const int first = co_await first_of(std::move(waiting), std::move(sleeping));
  co_return first == 0;
}

}  // namespace wrenn::async
