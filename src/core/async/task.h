// Task<T>: a coroutine that runs on the loop thread of its role and is awaited by exactly one owner.
//
// Rules that keep coroutines safe (architecture §4): name what you pass, then await; no temporaries in braces
// inside a co_await expression; no capturing lambda coroutines; parameters by value, or references to
// something that the awaiter keeps alive until the task ends.
#pragma once

#include "core/async/asio.h"

namespace wrenn::async {

using Executor = asio::any_io_executor;

template <typename T = void>
using Task = asio::awaitable<T>;

// Sleeps; throws Error(canceled) when the surrounding scope is cancelled.
Task<> sleep(std::chrono::steady_clock::duration duration);

// Lets other work of the loop run.
Task<> yield();

// A cancelled coroutine cannot begin another wait: co_await throws operation_aborted at once. Cleanup that
// must await something begins with `co_await ignore_cancellation();` and, if the coroutine goes on
// afterwards, ends with `co_await heed_cancellation();`. A cancellation that came meanwhile is not lost: it
// throws at the next wait.
inline auto ignore_cancellation() noexcept {
  return asio::this_coro::throw_if_cancelled(false);
}
inline auto heed_cancellation() noexcept {
  return asio::this_coro::throw_if_cancelled(true);
}

// Rethrows Asio's own errors as wrenn::Error with `what` in front, e.g. operation_aborted → canceled,
// connection_reset/eof → unavailable.
[[noreturn]] void throw_asio(const asio::error_code& error, std::string_view what);

// True for the exceptions that mean "this task was cancelled".
bool is_cancellation(std::exception_ptr error) noexcept;

}  // namespace wrenn::async
