// Scope: owns child tasks. Every coroutine that is not awaited directly is a child of a scope, and the scope's
// owner awaits join() (usually after cancel()) before it dies; so no task outlives what it refers to.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "core/async/event.h"
#include "core/async/task.h"

namespace wrenn::async {

class Scope {
 public:
  // `name` stands in the log line of a child that fails with an exception nobody awaits.
  Scope(Executor executor, std::string name);
  // join() must have completed; a scope with live children in its destructor is a bug and aborts.
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Starts `task`. A failure is logged (cancellation is not a failure) and does not end the scope.
  void spawn(Task<> task);

  // Asks every child to stop: their current waits throw Error(canceled)/operation_aborted.
  void cancel();

  // Waits until no child is left. Children spawned meanwhile count too.
  Task<> join();

  std::size_t size() const noexcept;
  Executor executor() const noexcept { return executor_; }

 private:
  struct Child;
  struct State;
  Executor executor_;
  std::shared_ptr<State> state_;
};

// Runs both; when the first ends (or throws) the other is cancelled and awaited. Rethrows the first's exception.
// Returns 0 or 1: which one ended first.
Task<int> first_of(Task<> a, Task<> b);

// Runs both to the end; when one throws, the other is cancelled and awaited, and the exception rethrown.
Task<> both(Task<> a, Task<> b);

}  // namespace wrenn::async
