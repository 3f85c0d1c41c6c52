// Blocking work leaves the loop thread: `co_await offload(pool, work)` runs `work` on a thread of the pool
// and resumes the caller on its own loop with the result or the exception.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "core/async/task.h"

namespace wrenn::async {

// A named group of threads for one kind of blocking work ("db", "sys"). The destructor waits for running
// work.
class ThreadPool {
 public:
  ThreadPool(std::string name, std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  asio::thread_pool& pool() noexcept { return pool_; }
  const std::string& name() const noexcept { return name_; }

 private:
  std::string name_;
  asio::thread_pool pool_;
};

// `work` and its result must be movable. Not cancellable: work that has begun runs to its end, and the
// awaiting coroutine resumes only then, so references to the awaiter's frame stay valid.
template <typename F>
auto offload(ThreadPool& threads, F work) -> Task<std::invoke_result_t<F&>> {
  using Result = std::invoke_result_t<F&>;
  auto executor = co_await asio::this_coro::executor;
  struct Outcome {
    std::exception_ptr error;
    std::conditional_t<std::is_void_v<Result>, bool, std::optional<Result>> value{};
  } outcome;
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [&](auto handler) {
        // The work guard of the loop is the pending handler itself: its executor keeps outstanding work.
        auto guard = asio::prefer(executor, asio::execution::outstanding_work.tracked);
        asio::post(threads.pool(), [&outcome, &work, guard, handler = std::move(handler)]() mutable {
          try {
            if constexpr (std::is_void_v<Result>) {
              work();
            } else {
              outcome.value.emplace(work());
            }
          } catch (...) {
            outcome.error = std::current_exception();
          }
          asio::post(guard, [handler = std::move(handler)]() mutable { std::move(handler)(); });
        });
      },
      asio::use_awaitable);
  if (outcome.error) std::rethrow_exception(outcome.error);
  if constexpr (!std::is_void_v<Result>) co_return std::move(*outcome.value);
}

// Destroys `object` on a thread of the pool: for what takes long to let go of, as the last descriptor of a
// large file that was removed. Nobody waits for it but the pool's destructor.
template <typename T>
void dispose(ThreadPool& threads, T object) {
  asio::post(threads.pool(), [object = std::move(object)] {});
}

}  // namespace wrenn::async
