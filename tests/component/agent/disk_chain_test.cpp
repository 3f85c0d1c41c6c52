// Files below a disk: each checkpoint puts one there, a merge takes them away (agent/vmm/machine.h).
#include <catch2/catch.hpp>

#include "agent/limits.h"
#include "core/base/clock.h"
#include "fake_host.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using vmm_state = agent::vmm::DiskMerge;

static std::size_t layers_of(FakeAgent& agent, const std::string& id) {
  return agent.sandboxes().get(id)->record().disk->layers.size();
}

static Task<std::string> sandbox_with_long_chain(FakeAgent& agent) {
  const auto request = create_request();
  co_await agent.sandboxes().create(request);
  for (std::size_t i = 0; i <= agent::limits::kDiskLayersMerge; ++i)
    co_await agent.sandboxes().create_checkpoint({request.sandbox_id, "cp-" + std::to_string(i), ""});
  co_return request.sandbox_id;
}

static Task<> wait_for_merge(std::shared_ptr<FakeProcess> process, vmm_state state) {
  const SteadyTime deadline = SteadyClock::now() + std::chrono::seconds(30);
  while (process->merge != state) {
    REQUIRE(SteadyClock::now() < deadline);
    co_await async::sleep(std::chrono::milliseconds(5));
  }
}

static Task<> end_empty(World& world, FakeAgent& agent, std::string id) {
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}

static Task<> merges(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const std::string id = co_await sandbox_with_long_chain(agent);
  const auto process = world.process(agent.sandboxes().get(id)->record().machine->pid);
  CHECK(layers_of(agent, id) == agent::limits::kDiskLayersMerge + 1);
  co_await wait_for_merge(process, vmm_state::going);
  CHECK(layers_of(agent, id) == agent::limits::kDiskLayersMerge + 1);
  process->merge = vmm_state::ended;
  co_await wait_for_merge(process, vmm_state::none);
  co_await agent.sandboxes().create_checkpoint({id, "later", ""});
  CHECK(layers_of(agent, id) == 1);
  // What was made before has the files that it was made with.
  co_await agent.host().layers.collect();
  co_await agent.sandboxes().rollback({id, "cp-0"});
  CHECK(layers_of(agent, id) == 1);
  co_await end_empty(world, agent, id);
}
TEST_CASE("a long chain of files is merged while the machine runs", "[agent]") {
  in_world(merges);
}

static Task<> cut_short(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const std::string id = co_await sandbox_with_long_chain(agent);
  const auto process = world.process(agent.sandboxes().get(id)->record().machine->pid);
  co_await wait_for_merge(process, vmm_state::going);
  // The fake refuses an overlay while a merge goes on, as QEMU does.
  co_await agent.sandboxes().create_checkpoint({id, "later", ""});
  CHECK(layers_of(agent, id) == agent::limits::kDiskLayersMerge + 2);
  co_await wait_for_merge(process, vmm_state::going);
  co_await agent.sandboxes().pause(id, "");
  CHECK(layers_of(agent, id) == agent::limits::kDiskLayersMerge + 2);
  co_await end_empty(world, agent, id);
}
TEST_CASE("an operation ends the merge of a disk's files, and all are still named", "[agent]") {
  in_world(cut_short);
}

static Task<> found_again(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  std::string id;
  std::shared_ptr<FakeProcess> process;
  {
    FakeAgent agent(executor, world);
    id = co_await sandbox_with_long_chain(agent);
    process = world.process(agent.sandboxes().get(id)->record().machine->pid);
    co_await wait_for_merge(process, vmm_state::going);
    co_await agent.end();
  }
  process->merge = vmm_state::ended;
  FakeAgent agent(executor, world);
  co_await agent.sandboxes().recover();
  CHECK(layers_of(agent, id) == agent::limits::kDiskLayersMerge + 1);
  co_await wait_for_merge(process, vmm_state::none);
  co_await agent.sandboxes().create_checkpoint({id, "later", ""});
  CHECK(layers_of(agent, id) == 1);
  co_await end_empty(world, agent, id);
}
TEST_CASE("a merge that ended while no agent ran is noticed", "[agent]") {
  in_world(found_again);
}
