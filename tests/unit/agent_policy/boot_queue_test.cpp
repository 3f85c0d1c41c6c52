#include "agent/sandbox/boot_queue.h"

#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "../coroutine_test.h"
#include "core/async/scope.h"
#include "core/base/error.h"

namespace {

using namespace std::chrono_literals;
using namespace wrenn;
using agent::sandbox::BootQueue;
using agent::sandbox::BootTurn;
using async::Task;

constexpr auto kLong = 10s;

Task<> boot(BootQueue& queue, int number, std::vector<int>& order) {
  const BootTurn turn = co_await queue.take(kLong);
  order.push_back(number);
  co_await async::sleep(1ms);
}

Task<> first_come_first_served() {
  const auto executor = co_await asio::this_coro::executor;
  BootQueue queue(executor, 2);
  std::vector<int> order;
  std::optional<BootTurn> first(co_await queue.take(kLong));
  std::optional<BootTurn> second(co_await queue.take(kLong));
  async::Scope scope(executor, "boots");
  for (int number = 0; number < 5; ++number) scope.spawn(boot(queue, number, order));
  co_await async::sleep(5ms);
  CHECK(order.empty());
  second.reset();
  co_await scope.join();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

Task<> refuses_in_the_end() {
  const auto executor = co_await asio::this_coro::executor;
  BootQueue queue(executor, 1);
  std::vector<int> order;
  std::optional<BootTurn> booting(co_await queue.take(kLong));
  std::optional<Error> refusal;
  try {
    const BootTurn turn = co_await queue.take(5ms);
  } catch (const Error& error) {
    refusal = error;
  }
  REQUIRE(refusal);
  CHECK(refusal->code() == ErrorCode::resource_exhausted);
  CHECK(std::string(refusal->what()).find("boots 1 capsules at a time and 0 more are waiting") !=
        std::string::npos);
  // It is no longer in the way of others.
  async::Scope scope(executor, "boots");
  scope.spawn(boot(queue, 7, order));
  booting.reset();
  co_await scope.join();
  CHECK(order == std::vector<int>{7});
}

}  // namespace

TEST_CASE("cold boots get their places in the order in which they came") {
  test::run(first_come_first_served());
}

TEST_CASE("a cold boot that waits too long for its turn is refused and leaves the queue") {
  test::run(refuses_in_the_end());
}
