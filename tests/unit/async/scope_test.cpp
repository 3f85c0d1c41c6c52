#include "core/async/scope.h"

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "coroutine_test.h"

using namespace std::chrono_literals;
using wrenn::Error;
using wrenn::ErrorCode;
using wrenn::async::Event;
using wrenn::async::Scope;
using wrenn::async::Task;
using wrenn::test::run;

namespace async = wrenn::async;

namespace {

// What a child did, in the frame of the test.
struct Trace {
  int started = 0;
  int ended = 0;      // by itself
  int cancelled = 0;  // by an exception that means cancellation
};

Task<> trace_sleep(Trace& trace, std::chrono::milliseconds time) {
  ++trace.started;
  try {
    co_await async::sleep(time);
  } catch (...) {
    if (async::is_cancellation(std::current_exception())) ++trace.cancelled;
    throw;
  }
  ++trace.ended;
}

Task<> fail_after(std::chrono::milliseconds time, std::string text) {
  if (time > 0ms) co_await async::sleep(time);
  throw Error(ErrorCode::internal, text);
}

Task<> do_nothing() {
  co_return;
}

// Ends only some turns after it has been cancelled, as a task does that must tidy up.
Task<> linger_when_cancelled(Trace& trace) {
  ++trace.started;
  try {
    co_await async::sleep(1h);
  } catch (...) {
  }
  co_await async::ignore_cancellation();
  for (int i = 0; i < 5; ++i) co_await async::sleep(2ms);
  ++trace.cancelled;
}

Task<> fail_when_cancelled(Trace& trace) {
  ++trace.started;
  try {
    co_await async::sleep(1h);
  } catch (...) {
    ++trace.cancelled;
  }
  throw Error(ErrorCode::data_loss, "failed while being cancelled");
}

}  // namespace

TEST_CASE("a scope joins its children") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 10; ++i) scope.spawn(trace_sleep(trace, std::chrono::milliseconds(i)));
    CHECK(scope.size() == 10);
    co_await scope.join();
    CHECK(scope.size() == 0);
    CHECK(trace.ended == 10);
  }());
}

TEST_CASE("a scope cancels its children, and join sees their ends") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 10; ++i) scope.spawn(trace_sleep(trace, 1h));
    scope.spawn(linger_when_cancelled(trace));
    scope.cancel();
    co_await scope.join();
    CHECK(trace.ended == 0);
    CHECK(trace.cancelled == 11);
  }());
}

TEST_CASE("a child that fails leaves the others alone") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "test");
    scope.spawn(fail_after(0ms, "this line in the log is expected"));
    scope.spawn(fail_after(1ms, "and this one"));
    scope.spawn(trace_sleep(trace, 10ms));
    co_await scope.join();
    CHECK(trace.ended == 1);
  }());
}

TEST_CASE("a task that never waits can be a child") {
  run([]() -> Task<> {
    Scope scope(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 3; ++i) scope.spawn(do_nothing());
    co_await scope.join();
    CHECK(scope.size() == 0);
  }());
}

namespace {

Task<> own_children(Trace& trace) {
  Scope scope(co_await asio::this_coro::executor, "inner");
  scope.spawn(trace_sleep(trace, 1h));
  scope.spawn(linger_when_cancelled(trace));
  co_await scope.join();
}

Task<> run_children(Trace& trace, Task<> main) {
  Scope scope(co_await asio::this_coro::executor, "inner");
  scope.spawn(trace_sleep(trace, 1h));
  scope.spawn(linger_when_cancelled(trace));
  co_await scope.run(std::move(main));
}

// Catches its cancellation and only then joins: what run() is for, done by hand.
Task<> own_children_by_hand(Trace& trace) {
  Scope scope(co_await asio::this_coro::executor, "inner");
  scope.spawn(linger_when_cancelled(trace));
  try {
    co_await async::sleep(1h);
  } catch (const Error&) {
  }
  co_await async::ignore_cancellation();
  scope.cancel();
  co_await scope.join();
}

}  // namespace

TEST_CASE("an owner that is cancelled while it joins cancels its children and waits for them") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "outer");
    scope.spawn(own_children(trace));
    co_await async::sleep(5ms);
    scope.cancel();
    co_await scope.join();
    CHECK(trace.cancelled == 2);
  }());
}

TEST_CASE("an owner that was cancelled before it joins still joins") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "outer");
    scope.spawn(own_children_by_hand(trace));
    co_await async::sleep(5ms);
    scope.cancel();
    co_await scope.join();
    CHECK(trace.cancelled == 1);
  }());
}

TEST_CASE("Scope::run cancels the children however main ends") {
  run([]() -> Task<> {
    Trace trace;
    SECTION("main returns") {
      co_await run_children(trace, async::sleep(2ms));
      CHECK(trace.cancelled == 2);
    }
    SECTION("main fails") {
      std::string text;
      try {
        co_await run_children(trace, fail_after(2ms, "main failed"));
      } catch (const Error& error) {
        text = error.what();
      }
      CHECK(text == "main failed");
      CHECK(trace.cancelled == 2);
    }
    SECTION("the owner is cancelled") {
      Scope scope(co_await asio::this_coro::executor, "outer");
      scope.spawn(run_children(trace, async::sleep(1h)));
      co_await async::sleep(2ms);
      scope.cancel();
      co_await scope.join();
      CHECK(trace.cancelled == 2);
    }
  }());
}

TEST_CASE("first_of names the first and awaits the other") {
  run([]() -> Task<> {
    Trace trace;
    auto a = trace_sleep(trace, 1h);
    auto b = trace_sleep(trace, 2ms);
    CHECK(co_await async::first_of(std::move(a), std::move(b)) == 1);
    CHECK(trace.cancelled == 1);
    CHECK(trace.ended == 1);

    auto c = do_nothing();
    auto d = linger_when_cancelled(trace);
    CHECK(co_await async::first_of(std::move(c), std::move(d)) == 0);
    CHECK(trace.cancelled == 2);
  }());
}

TEST_CASE("first_of rethrows what the first threw, and nothing else") {
  run([]() -> Task<> {
    Trace trace;
    std::string text;
    try {
      auto a = fail_after(1ms, "first");
      auto b = fail_when_cancelled(trace);
      co_await async::first_of(std::move(a), std::move(b));
    } catch (const Error& error) {
      text = error.what();
    }
    CHECK(text == "first");

    auto a = async::sleep(1ms);
    auto b = fail_when_cancelled(trace);
    CHECK(co_await async::first_of(std::move(a), std::move(b)) == 0);
    CHECK(trace.cancelled == 2);
  }());
}

TEST_CASE("both waits for both, and the first failure ends the other") {
  run([]() -> Task<> {
    Trace trace;
    auto a = trace_sleep(trace, 1ms);
    auto b = trace_sleep(trace, 5ms);
    co_await async::both(std::move(a), std::move(b));
    CHECK(trace.ended == 2);

    std::string text;
    try {
      auto c = fail_when_cancelled(trace);
      auto d = fail_after(1ms, "first failure");
      co_await async::both(std::move(c), std::move(d));
    } catch (const Error& error) {
      text = error.what();
    }
    CHECK(text == "first failure");
    CHECK(trace.cancelled == 1);
  }());
}

namespace {

Task<> race_for_ever(Trace& trace) {
  for (;;) {
    auto quick = async::yield();
    auto slow = linger_when_cancelled(trace);
    co_await async::first_of(std::move(quick), std::move(slow));
  }
}

Task<> time_out_for_ever(int& rounds) {
  for (;;) {
    auto quick = async::yield();
    co_await async::with_timeout(1h, "test", std::move(quick));
    ++rounds;
  }
}

}  // namespace

TEST_CASE("cancelling a race cancels both and is not mistaken for an end") {
  run([]() -> Task<> {
    Trace trace;
    Scope scope(co_await asio::this_coro::executor, "test");
    const auto race = [](Trace& t) -> Task<> {
      auto a = linger_when_cancelled(t);
      auto b = trace_sleep(t, 1h);
      co_await async::first_of(std::move(a), std::move(b));
      t.ended = 100;
    };
    scope.spawn(race(trace));
    co_await async::sleep(2ms);
    scope.cancel();
    co_await scope.join();
    CHECK(trace.cancelled == 2);
    CHECK(trace.ended == 0);
  }());
}

TEST_CASE("a cancellation that comes while a race awaits its loser is not lost") {
  // Cancels at every moment of the loop's turns: if one were lost, join() would never return.
  run([]() -> Task<> {
    for (int turns = 0; turns < 40; ++turns) {
      Trace trace;
      Scope scope(co_await asio::this_coro::executor, "test");
      scope.spawn(race_for_ever(trace));
      for (int i = 0; i < turns; ++i) co_await async::yield();
      scope.cancel();
      co_await scope.join();
    }
    for (int turns = 0; turns < 40; ++turns) {
      int rounds = 0;
      Scope scope(co_await asio::this_coro::executor, "test");
      scope.spawn(time_out_for_ever(rounds));
      for (int i = 0; i < turns; ++i) co_await async::yield();
      scope.cancel();
      co_await scope.join();
    }
  }());
}

namespace {

Task<> count_wakes(Event& event, int& wakes) {
  co_await event.wait();
  ++wakes;
}

Task<> count_timed_wakes(Event& event, int& wakes, int& timeouts, std::chrono::milliseconds limit) {
  ++(co_await event.wait_for(limit) ? wakes : timeouts);
}

}  // namespace

TEST_CASE("an event wakes its present waiters only") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Event event(executor);
    int wakes = 0;
    int timeouts = 0;
    Scope scope(executor, "test");
    event.notify_all();  // nobody waits: not remembered
    for (int i = 0; i < 3; ++i) scope.spawn(count_wakes(event, wakes));
    for (int i = 0; i < 3; ++i) scope.spawn(count_timed_wakes(event, wakes, timeouts, 10s));
    scope.spawn(count_timed_wakes(event, wakes, timeouts, 1ms));
    co_await async::sleep(20ms);
    CHECK(wakes == 0);
    CHECK(timeouts == 1);
    event.notify_all();
    scope.spawn(count_wakes(event, wakes));
    co_await async::sleep(5ms);
    CHECK(wakes == 6);
    CHECK(scope.size() == 1);
    scope.cancel();
    co_await scope.join();
    CHECK(wakes == 6);
  }());
}

TEST_CASE("an announcement right after the wait began is not lost") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Event event(executor);
    int wakes = 0;
    int timeouts = 0;
    Scope scope(executor, "test");
    scope.spawn(count_timed_wakes(event, wakes, timeouts, 20s));
    event.notify_all();
    const auto begin = std::chrono::steady_clock::now();
    co_await scope.join();
    CHECK(wakes == 1);
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
  }());
}
