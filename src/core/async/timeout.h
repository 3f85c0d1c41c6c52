// Deadlines for one wait.
#pragma once

#include <optional>
#include <string_view>

#include "core/async/scope.h"
#include "core/async/task.h"
#include "core/base/error.h"

namespace wrenn::async {

// Awaits `task`; when `duration` passes first, cancels and awaits it, then throws
// Error(deadline_exceeded, "<what>: no answer within <duration>"). `what` must outlive the call.
Task<> with_timeout(std::chrono::steady_clock::duration duration, std::string_view what, Task<> task);

namespace detail {
template <typename T>
Task<> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}
}  // namespace detail

template <typename T>
Task<T> with_timeout(std::chrono::steady_clock::duration duration, std::string_view what, Task<T> task) {
  std::optional<T> result;
  auto stored = detail::store<T>(std::move(task), result);
  co_await with_timeout(duration, what, std::move(stored));
  co_return std::move(*result);
}

}  // namespace wrenn::async
