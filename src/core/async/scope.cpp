#include "core/async/scope.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::async {

struct Scope::Child {
  asio::cancellation_signal signal;
  bool cancelled = false;
};

// Shared with the completion handlers of the children, which Asio may destroy after the scope is gone.
struct Scope::State {
  State(Executor executor, std::string scope_name) : name(std::move(scope_name)), changed(executor) {}
  std::string name;
  std::list<Child> children;
  Event changed;
};

Scope::Scope(Executor executor, std::string name)
    : executor_(executor), state_(std::make_shared<State>(executor, std::move(name))) {}

Scope::~Scope() {
  WRENN_CHECK(state_->children.empty());
}

void Scope::spawn(Task<> task) {
  state_->children.emplace_back();
  const auto child = std::prev(state_->children.end());
  auto on_end = [state = state_, child](std::exception_ptr error) {
    if (error && !is_cancellation(error))
      log::error("task failed", {{"scope", state->name}, {"error", describe(error)}});
    state->children.erase(child);
    state->changed.notify_all();
  };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(child->signal.slot(), std::move(on_end)));
}

void Scope::cancel() {
  for (Child& child : state_->children) {
    // Once is enough, since a coroutine stays cancelled; a second signal would break off the waits of its
    // cleanup. Emitting resumes nothing by itself: what it ends is resumed in a later turn of the loop.
    if (child.cancelled) continue;
    child.cancelled = true;
    child.signal.emit(asio::cancellation_type::terminal);
  }
}

// The children hold references to what the owner is about to destroy: even a cancelled owner waits for them.
Task<> Scope::join_children() {
  const auto state = state_;
  const bool heeded = co_await asio::this_coro::throw_if_cancelled();
  co_await ignore_cancellation();
  while (!state->children.empty()) {
    cancel();
    co_await state->changed.wait_uncancelled();
  }
  co_await asio::this_coro::throw_if_cancelled(heeded);
}

Task<> Scope::join() {
  const auto state = state_;
  bool cancelled = false;
  try {
    while (!state->children.empty()) co_await state->changed.wait();
  } catch (...) {  // Error(canceled), or operation_aborted from beginning a wait
    cancelled = true;
  }
  if (!cancelled) co_return;
  const bool heeded = co_await asio::this_coro::throw_if_cancelled();
  co_await ignore_cancellation();
  co_await join_children();
  co_await asio::this_coro::throw_if_cancelled(heeded);
  throw Error(ErrorCode::canceled, "join: cancelled");
}

Task<> Scope::run(Task<> main) {
  std::exception_ptr error;
  try {
    co_await std::move(main);
  } catch (...) {
    error = std::current_exception();
  }
  const bool heeded = co_await asio::this_coro::throw_if_cancelled();
  co_await ignore_cancellation();
  co_await join_children();
  co_await asio::this_coro::throw_if_cancelled(heeded);
  if (error) std::rethrow_exception(error);
}

std::size_t Scope::size() const noexcept {
  return state_->children.size();
}

namespace {

struct Race {
  Race(Executor executor, int ends) : changed(executor), ends_to_decide(ends) {}
  Event changed;
  const int ends_to_decide;
  int ended = 0;
  int first = -1;
  bool decided = false;      // enough have ended, or one has failed: later errors do not count
  std::exception_ptr error;  // of what decided
  asio::cancellation_signal signals[2];
};

void start(Race& race, Executor executor, int index, Task<> task) {
  auto on_end = [&race, index](std::exception_ptr error) {
    ++race.ended;
    if (race.first < 0) race.first = index;
    if (!race.decided) {
      race.error = error;
      race.decided = error || race.ended == race.ends_to_decide;
    }
    race.changed.notify_all();
  };
  asio::co_spawn(executor, std::move(task),
                 asio::bind_cancellation_slot(race.signals[index].slot(), std::move(on_end)));
}

// Starts both and waits for the decision, then cancels what is left and awaits it. The frame of the caller,
// which holds `race`, stays alive until both tasks have ended.
Task<> run_race(Race& race, Task<> a, Task<> b) {
  const auto executor = co_await asio::this_coro::executor;
  start(race, executor, 0, std::move(a));
  start(race, executor, 1, std::move(b));

  bool cancelled = false;
  try {
    while (!race.decided) co_await race.changed.wait();
  } catch (...) {  // Error(canceled), or operation_aborted from beginning a wait
    cancelled = true;
  }
  if (race.ended < 2) {
    // A cancellation that arrives from here on is kept and throws at the next wait after this function:
    // resetting the cancellation state instead would lose it, and its sender would wait for ever.
    const bool heeded = co_await asio::this_coro::throw_if_cancelled();
    co_await ignore_cancellation();
    race.decided = true;
    for (auto& signal : race.signals) signal.emit(asio::cancellation_type::terminal);
    while (race.ended < 2) co_await race.changed.wait_uncancelled();
    co_await asio::this_coro::throw_if_cancelled(heeded);
  }
  if (cancelled) throw Error(ErrorCode::canceled, "cancelled");
  if (race.error) std::rethrow_exception(race.error);
}

}  // namespace

Task<int> first_of(Task<> a, Task<> b) {
  Race race(co_await asio::this_coro::executor, 1);
  co_await run_race(race, std::move(a), std::move(b));
  co_return race.first;
}

Task<> both(Task<> a, Task<> b) {
  Race race(co_await asio::this_coro::executor, 2);
  co_await run_race(race, std::move(a), std::move(b));
}

}  // namespace wrenn::async
