// The pool of network slots: what is ready, what goes down in the background, and what a failure leaves.
#include <catch2/catch.hpp>

#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "world_test.h"

namespace wrenn::test {

using namespace std::chrono_literals;
using agent::sandbox::Slot;
using agent::sandbox::SlotPool;

namespace {

Task<> wait_for_ready(SlotPool& slots, std::size_t count) {
  while (slots.ready() != count) co_await async::sleep(2ms);
}

// Runs `body` with an agent whose pool is being filled to `kReady`; nothing is left after its end.
constexpr std::size_t kReady = 3;
using PoolBody = std::function<Task<>(World&, SlotPool&)>;
Task<> with_filled_pool(World& world, PoolBody body) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world, kReady);
  async::Scope scope(executor, "test");
  scope.spawn(agent.host().slots.fill());
  auto main = body(world, agent.host().slots);
  co_await scope.run(std::move(main));
  co_await agent.end();
}

void in_filled_pool(PoolBody body) {
  in_world([body = std::move(body)](World& world) { return with_filled_pool(world, body); });
}

Task<std::string> failure_of_take(SlotPool& slots) {
  try {
    (void)co_await slots.take();
  } catch (const Error& error) {
    co_return error.what();
  }
  co_return std::string();
}

Task<> takes_ready_ones(World& world, SlotPool& slots) {
  co_await wait_for_ready(slots, kReady);
  CHECK(slots.in_use() == 0);
  const int made = world.reached("network");
  world.fail("network", 100);  // what is ready needs none of the kernel
  world.fail("claim slot", 100);
  for (int index = 1; index <= static_cast<int>(kReady); ++index) {
    const Slot slot = co_await slots.take();
    CHECK(slot.index == index);
    CHECK(world.has(fmt::format("network {}", index)));
  }
  CHECK(world.reached("network") == made);
  CHECK(slots.in_use() == kReady);
}

Task<> refills(World&, SlotPool& slots) {
  co_await wait_for_ready(slots, kReady);
  const Slot first = co_await slots.take();
  co_await wait_for_ready(slots, kReady);
  slots.give_back(first.index);
  CHECK(slots.in_use() == 0);
  co_await slots.settle();
  const Slot next = co_await slots.take();
  CHECK(next.index != first.index);  // ready ones come first
}

Task<> waits_after_failure(World& world, SlotPool& slots) {
  co_await wait_for_ready(slots, kReady);
  world.fail("network", 100);
  for (std::size_t i = 0; i < kReady; ++i) (void)co_await slots.take();
  const int before = world.reached("network");
  CHECK((co_await failure_of_take(slots)).find("made to fail") != std::string::npos);
  co_await async::sleep(300ms);
  CHECK(world.reached("network") <= before + 2);  // the caller's try, and one of fill()
  CHECK(slots.in_use() == kReady);
  CHECK(slots.ready() == 0);
  co_await slots.settle();
  CHECK_FALSE(world.has("slot claim 4"));  // what failed keeps nothing
}

// The end of the agent takes the ready ones down, and leaves those in use.
Task<> end_leaves_used(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world, kReady);
  SlotPool& slots = agent.host().slots;
  async::Scope scope(executor, "test");
  scope.spawn(slots.fill());
  co_await wait_for_ready(slots, kReady);
  (void)co_await slots.take();
  scope.cancel();
  co_await scope.join();
  co_await agent.end();
  CHECK(world.census() == std::set<std::string>{"network 1", "slot claim 1"});
  CHECK((co_await failure_of_take(slots)).find("ending") != std::string::npos);
}

Task<> limits_used_ones(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);  // ten at most
  SlotPool& slots = agent.host().slots;
  CHECK(slots.reserve(7));
  CHECK_FALSE(slots.reserve(7));
  for (int i = 0; i < 9; ++i) (void)co_await slots.take();
  CHECK_FALSE(world.has("network 7"));
  CHECK((co_await failure_of_take(slots)).find("all 10 sandbox slots") != std::string::npos);
  slots.give_back(3);
  const Slot slot = co_await slots.take();  // although 3 may not be down yet
  CHECK(slot.index == 11);
  co_await agent.end();
}

Task<> teardown_fails(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  {
    FakeAgent agent(executor, world);
    const auto request = create_request();
    co_await agent.sandboxes().create(request);
    world.fail("destroy network");
    co_await agent.sandboxes().destroy(request.sandbox_id);  // not its business
    co_await agent.host().slots.settle();
    CHECK(world.census() == std::set<std::string>{"network 1", "slot claim 1"});
    CHECK((co_await agent.host().slots.take()).index == 2);
    agent.host().slots.give_back(2);
    agent.host().slots.give_back(2);  // twice, as a damaged journal might have it
    co_await agent.end();
    CHECK(world.census() == std::set<std::string>{"network 1", "slot claim 1"});
  }
  FakeAgent agent(executor, world);
  co_await agent.sandboxes().recover();
  co_await check_empty(world, agent);
  co_await agent.end();
}

Task<> take_and_forget(SlotPool& slots) {
  (void)co_await slots.take();
}

Task<> take_cancelled(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  async::Scope scope(executor, "test");
  scope.spawn(take_and_forget(agent.host().slots));
  while (world.reached("claim slot") == 0) co_await async::yield();
  scope.cancel();
  co_await scope.join();
  co_await agent.end();
  if (agent.host().slots.in_use() == 0) CHECK(world.census() == std::set<std::string>{});
}

}  // namespace

TEST_CASE("ready network slots are given out at once", "[agent]") {
  in_filled_pool(takes_ready_ones);
}
TEST_CASE("the pool of network slots is refilled", "[agent]") {
  in_filled_pool(refills);
}
TEST_CASE("a pool of network slots that cannot be filled waits", "[agent]") {
  in_filled_pool(waits_after_failure);
}
TEST_CASE("ready network slots go with their agent", "[agent]") {
  in_world(end_leaves_used);
}
TEST_CASE("only network slots in use count against the limit", "[agent]") {
  in_world(limits_used_ones);
}
TEST_CASE("a network slot that cannot be taken down is left to the next start", "[agent]") {
  in_world(teardown_fails);
}
TEST_CASE("nothing is left of a network slot whose taker is cancelled", "[agent]") {
  in_world(take_cancelled);
}

}  // namespace wrenn::test
