// A host whose disk fills up under running sandboxes.
#include <catch2/catch.hpp>

#include "agent/limits.h"
#include "core/async/scope.h"
#include "fake_host.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using agent::disk::DiskKind;
using agent::disk::StoreRoom;
using model::SandboxState;

static Task<> wait_until_stands(World& world, bool stands) {
  const auto process = world.process(world.pids().front());
  while (process->paused != stands) co_await async::sleep(5ms);
}

static std::string reason_of(FakeAgent& agent, const std::string& id) {
  return agent.sandboxes().get(id)->info().reason;
}

// Until the watch has looked again, at what is now.
static Task<> looked(World& world) {
  const int before = world.reached("disk level");
  while (world.reached("disk level") < before + 2) co_await async::sleep(5ms);
}

static Task<> no_room(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.disk_kind = DiskKind::dm_snapshot;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  const auto process = world.process(world.pids().front());
  co_await looked(world);
  CHECK(!process->paused);

  world.room = StoreRoom::low;
  co_await looked(world);
  CHECK(!process->paused);
  CHECK(reason_of(agent, id).empty());
  // With little left it is looked at more often, unless this machine stands still all the time.
  int looks = 0;
  for (int tries = 0; tries < 10 && looks < 3; ++tries) {
    const int before = world.reached("disk level");
    co_await async::sleep(agent::limits::kDiskLook);
    looks = world.reached("disk level") - before;
  }
  CHECK(looks >= 3);

  world.room = StoreRoom::none;
  co_await wait_until_stands(world, true);
  while (reason_of(agent, id).empty()) co_await async::sleep(5ms);  // told once it stands still
  CHECK(state_of(agent, id) == SandboxState::running);
  CHECK(reason_of(agent, id).starts_with(api::agent::kHostDiskFull));
  // Something else lets it run, as a pause that fails does: not for long.
  process->paused = false;
  co_await wait_until_stands(world, true);

  world.room = StoreRoom::low;
  co_await wait_until_stands(world, false);
  co_await looked(world);
  CHECK(reason_of(agent, id).empty());

  // Its time standing still is no obstacle to a pause, and after the resume it is watched again.
  world.room = StoreRoom::none;
  co_await wait_until_stands(world, true);
  CHECK((co_await agent.sandboxes().pause(id, "")).status == SandboxState::paused);
  CHECK(reason_of(agent, id).find("disk is full") == std::string::npos);
  world.room = StoreRoom::ample;
  co_await agent.sandboxes().resume(id, std::nullopt);
  co_await wait_until_stands(world, false);
  world.room = StoreRoom::none;
  co_await wait_until_stands(world, true);
  world.room = StoreRoom::ample;

  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a sandbox stands still while the host has no room for its disk", "[agent]") {
  in_world(no_room);
}

static Task<> take_checkpoint(FakeAgent& agent, std::string id) {
  (void)co_await agent.sandboxes().create_checkpoint({id, "cp-1", ""});
}

static Task<> room_during_an_operation(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  world.disk_kind = DiskKind::dm_snapshot;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  world.room = StoreRoom::none;
  co_await wait_until_stands(world, true);
  while (reason_of(agent, id).empty()) co_await async::sleep(5ms);

  world.copies_wait = true;
  async::Scope scope(executor, "test");
  scope.spawn(take_checkpoint(agent, id));
  while (world.reached("copy disk") == 0) co_await async::sleep(5ms);
  world.room = StoreRoom::ample;
  co_await async::sleep(4 * agent::limits::kDiskLookStopped);
  CHECK(world.process(world.pids().front())->paused);  // its disk is being copied
  world.copies_wait = false;
  co_await scope.join();
  co_await wait_until_stands(world, false);
  while (!reason_of(agent, id).empty()) co_await async::sleep(5ms);

  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a machine that an operation has is not let run by room for its disk", "[agent]") {
  in_world(room_during_an_operation);
}

static Task<> lost_disk(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.disk_kind = DiskKind::dm_snapshot;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  // A look that fails is no reason to end anything.
  world.fail("disk level", 2);
  const int before = world.reached("disk level");
  while (world.reached("disk level") < before + 3) co_await async::sleep(5ms);
  CHECK(state_of(agent, id) == SandboxState::running);

  world.disk_lost = true;
  co_await wait_for_state(agent, id, SandboxState::error);
  while (!world.pids().empty()) co_await async::sleep(5ms);
  CHECK(reason_of(agent, id).find("the disk is lost") != std::string::npos);
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a sandbox whose disk is lost fails and says why", "[agent]") {
  in_world(lost_disk);
}
