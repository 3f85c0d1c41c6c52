// Scope: owns child tasks. Every coroutine that is not awaited directly is a child of a scope, and the
// scope's owner awaits join() (usually after cancel()) before it dies; so no task outlives what it refers to.
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

  // Asks every child to stop: its current wait throws Error(canceled)/operation_aborted, and so does every wait it
  // begins later, unless it ignores that for its cleanup. Repeating it does nothing to the same child.
  void cancel();

  // Waits until no child is left. Children spawned meanwhile count too. When the calling coroutine is
  // cancelled while it waits, the children are cancelled and awaited before Error(canceled) is thrown.
  //
  // A coroutine that has been cancelled already cannot begin a wait, not even this one: an owner that cleans
  // up after any failure uses run(), or awaits ignore_cancellation() before join().
  Task<> join();

  // Awaits `main`; then, whether it returned, failed or was cancelled, cancels and awaits the children.
  // Rethrows what `main` threw. The safe way to own children:
  //   Scope scope(executor, "agent");
  //   scope.spawn(...);
  //   auto main = serve_until_stopped(scope, ...);
  //   co_await scope.run(std::move(main));
  Task<> run(Task<> main);

  std::size_t size() const noexcept;
  Executor executor() const noexcept { return executor_; }

 private:
  struct Child;
  struct State;
  Task<> join_children();
  Executor executor_;
  std::shared_ptr<State> state_;
};

// Runs both; when the first ends (or throws) the other is cancelled and awaited. Rethrows the first's
// exception; what the other throws while it is cancelled does not count. Returns 0 or 1: which one ended
// first.
Task<int> first_of(Task<> a, Task<> b);

// Runs both to the end; when one throws, the other is cancelled and awaited, and the exception rethrown.
Task<> both(Task<> a, Task<> b);

}  // namespace wrenn::async
