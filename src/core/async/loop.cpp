#include "core/async/loop.h"

#include <unistd.h>
#include <csignal>

#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/log/log.h"

namespace wrenn::async {

// Measures how late the loop is: a turn that blocked shows up as a timer that fired late.
static Task<> watch_lag(std::string name) {
  constexpr auto kPeriod = std::chrono::milliseconds(250);
  for (;;) {
    const auto due = SteadyClock::now() + kPeriod;
    co_await sleep(kPeriod);
    const auto late = SteadyClock::now() - due;
    if (late > limits::kLoopLag) {
      const auto late_ms = std::chrono::duration_cast<std::chrono::milliseconds>(late).count();
      log::debug("loop was late", {{"loop", name}, {"late_ms", late_ms}});
    }
  }
}

void run_loop(const std::string& name, std::function<Task<>()> main_task, bool watch) {
  asio::io_context context(1);
  std::exception_ptr failure;
  asio::cancellation_signal stop_watch;
  if (watch)
    asio::co_spawn(context, watch_lag(name),
                   asio::bind_cancellation_slot(stop_watch.slot(), [](std::exception_ptr) {}));
  asio::co_spawn(context, main_task(), [&](std::exception_ptr error) {
    failure = error;
    stop_watch.emit(asio::cancellation_type::terminal);
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

Task<int> wait_for_stop_signal() {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
  asio::error_code error;
  const int number = co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (error) throw_asio(error, "wait for signal");
  std::signal(SIGINT, [](int again) { _exit(128 + again); });
  co_return number;
}

}  // namespace wrenn::async
