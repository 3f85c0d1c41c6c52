#include "core/async/offload.h"

#include <atomic>
#include <thread>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "coroutine_test.h"

using namespace std::chrono_literals;
using wrenn::Error;
using wrenn::ErrorCode;
using wrenn::async::Scope;
using wrenn::async::Task;
using wrenn::async::ThreadPool;
using wrenn::test::run;

namespace async = wrenn::async;

TEST_CASE("offload runs elsewhere and comes back with the result") {
  ThreadPool pool("test", 2);
  run([](ThreadPool& threads) -> Task<> {
    const auto here = std::this_thread::get_id();
    auto who = [] { return std::this_thread::get_id(); };
    const auto there = co_await async::offload(threads, who);
    CHECK(there != here);
    CHECK(std::this_thread::get_id() == here);

    auto movable = [text = std::make_unique<std::string>("moved")]() mutable { return std::move(text); };
    const auto text = co_await async::offload(threads, std::move(movable));
    CHECK(*text == "moved");

    std::atomic<int> calls = 0;
    auto count = [&calls] { ++calls; };
    co_await async::offload(threads, count);
    CHECK(calls == 1);
  }(pool));
}

TEST_CASE("offload rethrows what the work throws") {
  ThreadPool pool("test", 1);
  run([](ThreadPool& threads) -> Task<> {
    auto fail = []() -> int { throw Error(ErrorCode::data_loss, "the disk is gone"); };
    std::string text;
    try {
      co_await async::offload(threads, fail);
    } catch (const Error& error) {
      text = error.what();
    }
    CHECK(text == "the disk is gone");
    auto fail_oddly = [] { throw 42; };
    bool caught = false;
    try {
      co_await async::offload(threads, fail_oddly);
    } catch (int number) {
      caught = number == 42;
    }
    CHECK(caught);
  }(pool));
}

namespace {

Task<> work_slowly(ThreadPool& threads, std::atomic<int>& ended, int& resumed) {
  std::string local = "a frame that must outlive the work";
  auto work = [&local, &ended] {
    std::this_thread::sleep_for(50ms);
    if (local.size() > 10) ++ended;
  };
  co_await async::offload(threads, work);
  ++resumed;
  co_await async::sleep(1h);
  resumed = 100;
}

}  // namespace

TEST_CASE("work that has begun runs to its end when its caller is cancelled") {
  ThreadPool pool("test", 2);
  run([](ThreadPool& threads) -> Task<> {
    std::atomic<int> ended = 0;
    int resumed = 0;
    Scope scope(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 4; ++i) scope.spawn(work_slowly(threads, ended, resumed));
    co_await async::sleep(10ms);
    scope.cancel();
    co_await scope.join();
    CHECK(ended == 4);
    CHECK(resumed == 4);
  }(pool));
}

namespace {

Task<> add_up(ThreadPool& threads, long& sum) {
  for (int i = 0; i < 200; ++i) {
    auto work = [i] { return i; };
    sum += co_await async::offload(threads, work);
  }
}

}  // namespace

TEST_CASE("many callers share a pool") {
  ThreadPool pool("test", 4);
  run([](ThreadPool& threads) -> Task<> {
    long sum = 0;
    Scope scope(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 20; ++i) scope.spawn(add_up(threads, sum));
    co_await scope.join();
    CHECK(sum == 20L * (199 * 200 / 2));
  }(pool));
}
