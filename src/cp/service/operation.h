// Operations go on when nobody waits for them any more. They run in the service's scope; the request that
// began one waits for its end, for as long as it likes.
#pragma once

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/async/event.h"
#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"
#include "core/metrics/metrics.h"
#include "model/ids.h"

namespace wrenn::cp::service {

using async::Task;

// No operation lasts longer than its agent calls (api/limits.h), so this is "until it ends".
inline constexpr auto kUntilItEnds = std::chrono::minutes(15);

template <typename Result>
class Operation {
 public:
  explicit Operation(async::Executor executor) : ended_(executor) {}

  void succeed(Result result) {
    result_ = std::move(result);
    end();
  }
  void fail(std::exception_ptr error) {
    error_ = error;
    end();
  }
  bool awaited() const noexcept { return waiting_ > 0; }

  // What came out, or absent when `patience` is over first. Throws what the operation threw. The caller holds
  // a reference (shared_ptr) for the time of the call.
  Task<std::optional<Result>> wait(std::chrono::steady_clock::duration patience) {
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

 private:
  void end() {
    done_ = true;
    ended_.notify_all();
  }

  async::Event ended_;
  bool done_ = false;
  int waiting_ = 0;
  std::optional<Result> result_;
  std::exception_ptr error_;
};

template <typename Result>
using Began = std::shared_ptr<Operation<Result>>;

struct Done {};  // the result of an operation that has none

// The operations under way and the capsules they work on.
class Operations {
 public:
  // `scope` must be joined before this dies; `metrics` must outlive it.
  Operations(async::Scope& scope, metrics::Registry& metrics) : scope_(scope), metrics_(metrics) {}

  // `subject` is told in the log when `work` fails; the reconciler leaves `capsules` alone until it ends.
  template <typename Result>
  Began<Result> begin(std::string_view name, std::string subject, std::vector<model::SandboxId> capsules,
                      Task<Result> work) {
    auto operation = std::make_shared<Operation<Result>>(scope_.executor());
    for (const auto& id : capsules) ++busy_[id];
    scope_.spawn(drive<Result>(operation, std::string(name), std::move(subject), std::move(capsules),
                               std::move(work)));
    return operation;
  }

  // A stage that began at `since` is over, well or not; the next begins now.
  void end_stage(std::string_view operation, std::string_view stage, SteadyTime& since) {
    const auto at = SteadyClock::now();
    metrics_
        .histogram("wrenn_cp_operation_stage_duration_seconds",
                   "Parts of an operation: admit (rules and the first row), host (its agent's call), settle "
                   "(the row afterwards).",
                   metrics::duration_bounds_seconds(),
                   {{"operation", std::string(operation)}, {"stage", std::string(stage)}})
        .observe(std::chrono::duration<double>(at - since).count());
    since = at;
  }

  // True while an operation of this process works on the capsule.
  bool busy(const model::SandboxId& id) const noexcept { return busy_.contains(id); }
  std::size_t busy_capsules() const noexcept { return busy_.size(); }
  // Those that operations of this process work on, in the order of their ids.
  std::vector<model::SandboxId> capsules() const {
    std::vector<model::SandboxId> all;
    all.reserve(busy_.size());
    for (const auto& [id, count] : busy_) all.push_back(id);
    std::sort(all.begin(), all.end());
    return all;
  }
  // For what nobody waits for at all.
  async::Scope& scope() noexcept { return scope_; }

 private:
  template <typename Result>
  Task<> drive(Began<Result> operation, std::string name, std::string subject,
               std::vector<model::SandboxId> capsules, Task<Result> work) {
    std::exception_ptr failure;
    std::optional<Result> result;
    try {
      result = co_await std::move(work);
    } catch (...) {
      failure = std::current_exception();
    }
    for (const auto& id : capsules)
      if (--busy_[id] == 0) busy_.erase(id);
    metrics_
        .counter("wrenn_cp_operations_total", "Operations that have ended.",
                 {{"operation", name}, {"result", failure ? "failed" : "done"}})
        .add();
    if (!failure) {
      operation->succeed(std::move(*result));
      co_return;
    }
    if (!async::is_cancellation(failure))
      log::warn("capsule operation failed", {{"operation", name},
                                             {"of", subject},
                                             {"awaited", operation->awaited()},
                                             {"error", wrenn::describe(failure)}});
    operation->fail(failure);
  }

  async::Scope& scope_;
  metrics::Registry& metrics_;
  std::unordered_map<model::SandboxId, int> busy_;  // a destroy may overlap another operation
};

// Waits for an operation that has no early answer. Throws Error(deadline_exceeded), what it threw.
template <typename Result>
Task<Result> end_of(Began<Result> operation) {
  auto result = co_await operation->wait(kUntilItEnds);
  if (!result) throw_error(ErrorCode::deadline_exceeded, "the operation has no end in sight");
  co_return std::move(*result);
}

}  // namespace wrenn::cp::service
