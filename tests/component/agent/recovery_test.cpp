// What a new agent makes of what an earlier one left.
#include <catch2/catch.hpp>

#include "core/async/timeout.h"
#include "fake_host.h"
#include "linux/file.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

static Task<> adopt(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  std::set<std::string> before;
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().create(request);
    before = world.census();
    co_await agent.end();
  }
  CHECK(world.census() == before);  // the end of an agent ends no machine
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().recover();
    CHECK(world.census() == before);
    CHECK(state_of(agent, id) == SandboxState::running);
    CHECK(agent.host().slots.in_use() == 1);
    CHECK(world.inits == 2);  // it is told the time, and what a crash has left frozen goes on
    const auto paused = co_await agent.sandboxes().pause(id, "");
    CHECK(paused.status == SandboxState::paused);
    co_await agent.end();
  }
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().recover();
    CHECK(state_of(agent, id) == SandboxState::paused);
    const auto running = co_await agent.sandboxes().resume(id, std::nullopt);
    CHECK(running.status == SandboxState::running);
    CHECK(running.created_at_us == agent.journal().load().at(0).record->created_at_us);
    co_await agent.sandboxes().destroy(id);
    co_await check_empty(world, agent);
    co_await agent.end();
  }
}
TEST_CASE("running and paused sandboxes survive restarts of the agent", "[agent]") {
  in_world(adopt);
}

static Task<> ended_meanwhile(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  const auto request = create_request();
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().create(request);
    co_await agent.end();
  }
  world.end(world.pids().front(), agent::vmm::MachineEnd::Cause::failed);
  FakeAgent agent(executor, world);
  co_await agent.sandboxes().recover();
  CHECK(state_of(agent, request.sandbox_id) == SandboxState::error);
  CHECK(agent.sandboxes().get(request.sandbox_id)->info().reason.find("ended while the agent") !=
        std::string::npos);
  co_await agent.host().slots.settle();
  CHECK(world.census() == std::set<std::string>{"claim " + request.sandbox_id});
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a machine that ended while no agent looked is an error with its reason", "[agent]") {
  in_world(ended_meanwhile);
}

static Task<> half_made(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  // As a crash in the middle of a create leaves it.
  agent::Record record;
  record.sandbox_id = create_request().sandbox_id;
  record.created_at_us = 1;
  record.slot = 3;
  record.disk = agent::disk::DiskRecord{agent::disk::DiskKind::qcow2,
                                        record.sandbox_id,
                                        "/image",
                                        {},
                                        agent.journal().sandbox_directory(record.sandbox_id) + "/disk.cow",
                                        0,
                                        4096};
  agent.journal().save(record);
  (void)sys::create_sparse_file(record.disk->cow_path, 4096);
  for (const std::string thing : {"network 3", "slot claim 3"}) world.add(thing);
  world.add("claim " + record.sandbox_id);
  world.add("cgroup " + record.sandbox_id);
  world.add("disk " + record.disk->sandbox_id);
  // What no record names at all.
  const std::string unknown = create_request().sandbox_id;
  for (const std::string& thing : {"claim " + unknown, "cgroup " + unknown}) world.add(thing);
  world.add("network 9");
  world.add("slot claim 9");
  world.add("foreign slot 1");
  sys::make_directories(agent.host().directory + "/sandboxes/" + unknown);

  co_await agent.sandboxes().recover();
  co_await agent.host().slots.settle();
  CHECK(world.census() == std::set<std::string>{"foreign slot 1"});
  CHECK(agent.sandboxes().list().empty());
  CHECK(agent.host().slots.in_use() == 0);
  CHECK(agent.journal().load().empty());

  const auto request = create_request();
  co_await agent.sandboxes().create(request);
  CHECK(agent.sandboxes().get(request.sandbox_id)->slot() == 2);  // 1 is another agent's
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await agent.end();
}
TEST_CASE("what a crash left is rolled back or swept; what others have is left alone", "[agent]") {
  in_world(half_made);
}

static Task<> torn_journal(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const std::string id = create_request().sandbox_id;
  const std::string directory = agent.journal().sandbox_directory(id);
  sys::make_directories(directory);
  sys::write_file_atomic(directory + "/sandbox.json", R"({"format":1,"sandboxId":")" + id, 0600);
  world.add("claim " + id);
  world.add("cgroup " + id);
  co_await agent.sandboxes().recover();
  CHECK(state_of(agent, id) == SandboxState::error);
  CHECK(agent.sandboxes().get(id)->info().reason.find("sandbox.json") != std::string::npos);
  CHECK_FALSE(world.has("cgroup " + id));
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a damaged record is an error that can be destroyed", "[agent]") {
  in_world(torn_journal);
}

static Task<> interrupted_pause(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  agent::Record running;
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().create(request);
    running = *agent.journal().load().at(0).record;
    co_await agent.end();
  }
  // The snapshot is complete, the journal says running: a crash right after commit().
  const std::string snapshots = world.directory + "/snapshots";
  const Secret key = FakeAgent(executor, world).host().seal_key;
  const auto commit = [&] {
    auto draft = agent::snapshot::Draft::begin(snapshots, id);
    sys::write_full(draft.state_file(), "device state");
    FakeAgent(executor, world).host().mechanisms.write_memory(draft, *running.machine);
    agent::snapshot::Manifest manifest;
    manifest.sandbox_id = id;
    manifest.vcpus = running.vcpus;
    manifest.memory_mib = running.memory_mb;
    manifest.vmm_version = "fake 1";
    manifest.cpu_model = "max";
    manifest.disk = *running.disk;
    draft.commit(manifest, key);
  };
  world.process(running.machine->pid)->paused = true;
  commit();
  {  // the machine lives: it goes on, and the snapshot is void
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().recover();
    CHECK(state_of(agent, id) == SandboxState::running);
    CHECK_FALSE(world.process(running.machine->pid)->paused);
    CHECK_FALSE(agent::snapshot::load(snapshots, id, key).has_value());
    co_await agent.end();
  }
  world.process(running.machine->pid)->paused = true;
  commit();
  world.end(running.machine->pid, agent::vmm::MachineEnd::Cause::failed);
  {  // the machine is gone: the snapshot is the sandbox
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().recover();
    CHECK(state_of(agent, id) == SandboxState::paused);
    co_await agent.host().slots.settle();
    CHECK(world.census() == std::set<std::string>{"claim " + id});
    const auto resumed = co_await agent.sandboxes().resume(id, std::nullopt);
    CHECK(resumed.status == SandboxState::running);
    co_await agent.sandboxes().destroy(id);
    co_await check_empty(world, agent);
    co_await agent.end();
  }
}
TEST_CASE("a crash in the middle of a pause loses nothing", "[agent]") {
  in_world(interrupted_pause);
}
