#include "core/async/scope.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::async {

struct Scope::Child {
  asio::cancellation_signal signal;
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

Scope::~Scope() { WRENN_CHECK(state_->children.empty()); }

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
  // A child may end inside emit() and remove itself, so step first.
  for (auto child = state_->children.begin(); child != state_->children.end();) {
    auto& signal = child->signal;
    ++child;
    signal.emit(asio::cancellation_type::terminal);
  }
}

Task<> Scope::join() {
  // Children hold references to what the owner is about to destroy: even a cancelled owner waits for them.
  const auto state = state_;
  bool cancelled = false;
  while (!state->children.empty()) {
    if (!cancelled && (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
      cancelled = true;
    if (cancelled) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (cancelled) cancel();
    try {
      if (!state->children.empty()) co_await state->changed.wait();
    } catch (const Error&) {
      cancelled = true;
    } catch (const asio::system_error&) {
      cancelled = true;
    }
  }
  if (cancelled) throw Error(ErrorCode::canceled, "join: cancelled");
}

std::size_t Scope::size() const noexcept { return state_->children.size(); }

namespace {

struct Race {
  explicit Race(Executor executor) : changed(executor) {}
  Event changed;
  int ended = 0;
  int first = -1;
  std::exception_ptr error;
  asio::cancellation_signal signals[2];
};

// Starts both and waits for the first end (`until` = 1) or both (`until` = 2, or the first failure), then
// cancels what is left and awaits it. The frame of the caller stays alive until both tasks have ended.
Task<> run_race(Race& race, Task<> a, Task<> b, int until) {
  const auto executor = co_await asio::this_coro::executor;
  const auto start = [&race, &executor](int index, Task<> task) {
    auto on_end = [&race, index](std::exception_ptr error) {
      ++race.ended;
      if (race.first < 0) race.first = index;
      if (error && !race.error && (race.ended == 1 || !is_cancellation(error))) race.error = error;
      race.changed.notify_all();
    };
    asio::co_spawn(executor, std::move(task),
                   asio::bind_cancellation_slot(race.signals[index].slot(), std::move(on_end)));
  };
  start(0, std::move(a));
  start(1, std::move(b));

  bool cancelled = false;
  try {
    while (race.ended < until && !race.error) co_await race.changed.wait();
  } catch (const Error&) {
    cancelled = true;
  } catch (const asio::system_error&) {
    cancelled = true;
  }
  if (race.ended < 2) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    for (auto& signal : race.signals) signal.emit(asio::cancellation_type::terminal);
    while (race.ended < 2) co_await race.changed.wait();
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  }
  if (cancelled) throw Error(ErrorCode::canceled, "cancelled");
}

}  // namespace

Task<int> first_of(Task<> a, Task<> b) {
  Race race(co_await asio::this_coro::executor);
  co_await run_race(race, std::move(a), std::move(b), 1);
  // Only the first end counts; what the loser threw while it was being cancelled does not.
  if (race.error) std::rethrow_exception(race.error);
  co_return race.first;
}

Task<> both(Task<> a, Task<> b) {
  Race race(co_await asio::this_coro::executor);
  co_await run_race(race, std::move(a), std::move(b), 2);
  if (race.error) std::rethrow_exception(race.error);
}

}  // namespace wrenn::async
