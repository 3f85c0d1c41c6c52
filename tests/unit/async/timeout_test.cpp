#include "core/async/timeout.h"

#include "core/async/loop.h"
#include "coroutine_test.h"

#include <csignal>

using namespace std::chrono_literals;
using wrenn::Error;
using wrenn::ErrorCode;
using wrenn::async::Task;
using wrenn::test::run;

namespace async = wrenn::async;

namespace {

Task<int> seven_after(std::chrono::milliseconds time) {
  co_await async::sleep(time);
  co_return 7;
}

Task<int> fail_after(std::chrono::milliseconds time) {
  co_await async::sleep(time);
  throw Error(ErrorCode::not_found, "no such thing");
}

Task<std::string> error_of(Task<int> task) {
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    co_return std::string(to_string(error.code())) + ": " + error.what();
  }
  co_return "none";
}

}  // namespace

TEST_CASE("with_timeout passes results and failures on") {
  run([]() -> Task<> {
    CHECK(co_await async::with_timeout(10s, "test", seven_after(1ms)) == 7);
    CHECK(co_await error_of(async::with_timeout(10s, "test", fail_after(1ms))) == "not_found: no such thing");
  }());
}

TEST_CASE("with_timeout says what took too long") {
  run([]() -> Task<> {
    CHECK(co_await error_of(async::with_timeout(5ms, "ask", seven_after(1h))) ==
          "deadline_exceeded: ask: no answer within 5 ms");
  }());
}

TEST_CASE("of nested deadlines the shorter one decides") {
  run([]() -> Task<> {
    auto inner = async::with_timeout(5ms, "inner", seven_after(1h));
    CHECK(co_await error_of(async::with_timeout(10s, "outer", std::move(inner))) ==
          "deadline_exceeded: inner: no answer within 5 ms");
    auto other = async::with_timeout(10s, "inner", seven_after(1h));
    CHECK(co_await error_of(async::with_timeout(5ms, "outer", std::move(other))) ==
          "deadline_exceeded: outer: no answer within 5 ms");
  }());
}

namespace {

Task<> fail_at_once() {
  throw Error(ErrorCode::aborted, "main failed");
  co_return;
}

}  // namespace

TEST_CASE("run_loop ends with its main task and rethrows its failure") {
  CHECK_NOTHROW(async::run_loop("test", [] { return async::sleep(5ms); }));
  CHECK_THROWS_WITH(async::run_loop("test", fail_at_once), "main failed");
}

TEST_CASE("the stop signal is a value") {
  static int number = 0;
  async::run_loop("test", []() -> Task<> {
    const auto raise_later = []() -> Task<> {
      co_await async::sleep(5ms);  // before the wait has begun it would end the program
      ::raise(SIGTERM);
    };
    const auto wait = []() -> Task<> { number = co_await async::wait_for_stop_signal(); };
    co_await async::both(wait(), raise_later());
  });
  CHECK(number == SIGTERM);
}
