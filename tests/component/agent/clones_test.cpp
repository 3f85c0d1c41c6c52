// Clones of golden snapshots, spare machines, and what is made of a sandbox's state: forks, checkpoints,
// templates.
#include <catch2/catch.hpp>

#include <filesystem>

#include "agent/limits.h"
#include "agent/sandbox/spares.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "fake_host.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

static api::agent::CreateSandboxRequest clone_request() {
  auto request = create_request();
  request.boot.clear();
  return request;
}

// Without those that golden snapshots name.
static Task<std::size_t> count_layers(World& world, FakeAgent& agent) {
  co_await agent.host().layers.collect();
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(world.directory + "/layers"))
    count += entry.is_regular_file() ? 1 : 0;
  co_return count;
}

static Task<> introduced(FakeAgent& agent, std::string id) {
  const auto passage = co_await agent.sandboxes().get(id)->enter();
  CHECK(passage != nullptr);
}

static Task<> clones(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto first = clone_request(), second = clone_request();
  co_await agent.sandboxes().create(first);
  CHECK(world.reached("start") == 1);  // the one that the golden snapshot was made of
  CHECK(world.reached("restore") == 1);
  const auto info = co_await agent.sandboxes().create(second);
  CHECK(world.reached("start") == 1);
  CHECK(world.reached("restore") == 2);
  CHECK(info.metadata.at("envd_version") == "9.8.7");
  co_await introduced(agent, second.sandbox_id);
  // Another size is another machine.
  auto larger = clone_request();
  larger.memory_mb = 128;
  co_await agent.sandboxes().create(larger);
  CHECK(world.reached("start") == 2);
  // Who asks for a boot gets one.
  const auto cold = create_request();
  co_await agent.sandboxes().create(cold);
  CHECK(world.reached("start") == 3);
  for (const auto& request : {first, second, larger, cold})
    co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  CHECK(co_await count_layers(world, agent) ==
        4);  // memory (the same zeros would be one) and disk of two goldens
  co_await agent.end();
  // The next agent finds them.
  FakeAgent next(co_await asio::this_coro::executor, world);
  co_await next.sandboxes().recover();
  const auto third = clone_request();
  co_await next.sandboxes().create(third);
  CHECK(world.reached("start") == 3);
  co_await next.sandboxes().destroy(third.sandbox_id);
  co_await check_empty(world, next);
  co_await next.end();
}
TEST_CASE("sandboxes are clones of one golden snapshot for each size", "[agent]") {
  in_world(clones);
}

static std::string golden_step;
static Task<> golden_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.fail(golden_step);
  const auto request = clone_request();
  const auto info = co_await agent.sandboxes().create(request);
  CHECK(info.status == SandboxState::running);
  CHECK(world.reached("restore") == 0);  // booted
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  CHECK(co_await count_layers(world, agent) == 0);
  co_await agent.end();
}
TEST_CASE("without a golden snapshot sandboxes boot", "[agent]") {
  golden_step = GENERATE(as<std::string>{}, "start", "freeze", "save state", "memory", "copy disk");
  CAPTURE(golden_step);
  in_world(golden_fails);
}

static Task<> enter_and_note(FakeAgent& agent, std::string id, bool& inside) {
  co_await introduced(agent, id);
  inside = true;
}
static Task<> requests_wait(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  const auto warm = clone_request(), request = clone_request();
  co_await agent.sandboxes().create(warm);
  co_await introduced(agent, warm.sandbox_id);
  world.guest_answers = false;
  const auto info = co_await agent.sandboxes().create(request);
  CHECK(info.status == SandboxState::running);
  async::Scope scope(executor, "requests");
  bool inside = false;
  scope.spawn(enter_and_note(agent, request.sandbox_id, inside));
  co_await async::sleep(100ms);
  CHECK_FALSE(inside);  // it does not know who it is
  const std::string other_token = world.token;
  world.guest_answers = true;
  co_await scope.join();
  CHECK(inside);
  CHECK(world.token != other_token);
  // One that refuses its identity is of no use, and said to be.
  world.fail("init", 1000);
  const auto refusing = clone_request();
  co_await agent.sandboxes().create(refusing);
  co_await wait_for_state(agent, refusing.sandbox_id, SandboxState::error);
  CHECK(agent.sandboxes().get(refusing.sandbox_id)->info().reason.find("identity") != std::string::npos);
  world.fail("init", 0);
  for (const auto& made : {warm, request, refusing}) co_await agent.sandboxes().destroy(made.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("nobody is let into a clone before it knows who it is", "[agent]") {
  in_world(requests_wait);
}

// --- spares

static Task<> wait_ready(agent::sandbox::Spares& spares, std::size_t count) {
  while (spares.ready() != count) co_await async::sleep(10ms);
}

static Task<> spares_are_taken(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  const auto before = world.census();
  std::string id;
  {
    FakeAgent agent(executor, world);
    agent::sandbox::Spares spares(agent.host(), 2);
    agent.host().spares = &spares;
    async::Scope scope(executor, "spares");
    scope.spawn(spares.fill());
    const auto first = clone_request(), second = clone_request();
    co_await agent.sandboxes().create(first);
    co_await wait_ready(spares, 2);
    CHECK(world.reached("restore") == 3);

    id = second.sandbox_id;
    const auto info = co_await agent.sandboxes().create(second);
    CHECK(info.status == SandboxState::running);
    CHECK(spares.ready() == 1);
    CHECK(world.reached("restore") == 3);  // nothing was cloned for it
    co_await introduced(agent, id);
    const agent::Record& record = agent.sandboxes().get(id)->record();
    CHECK(record.place_name() != id);
    CHECK(info.sandbox_id == id);
    co_await wait_ready(spares, 2);  // and another takes its place

    // One that has ended meanwhile is not given to anybody.
    for (const auto pid : world.pids())
      if (world.process(pid)->paused) world.end(pid, agent::vmm::MachineEnd::Cause::failed);
    const auto third = clone_request();
    co_await agent.sandboxes().create(third);
    CHECK(world.process(agent.sandboxes().get(third.sandbox_id)->record().machine->pid)->end == std::nullopt);
    co_await wait_ready(spares, 2);

    co_await agent.sandboxes().destroy(first.sandbox_id);
    co_await agent.sandboxes().destroy(third.sandbox_id);
    scope.cancel();
    co_await scope.join();
    agent.host().spares = nullptr;
    co_await agent.end();  // as after a crash: the spares that are left are nobody's
  }
  CHECK(world.pids().size() == 3);
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().recover();
    CHECK(world.pids().size() == 1);  // the sandbox that was made of a spare
    CHECK(state_of(agent, id) == SandboxState::running);
    const auto paused = co_await agent.sandboxes().pause(id, "");
    CHECK(paused.status == SandboxState::paused);
    co_await agent.sandboxes().resume(id, std::nullopt);
    co_await introduced(agent, id);
    co_await agent.sandboxes().destroy(id);
    co_await check_empty(world, agent);
    co_await agent.end();
  }
  CHECK(world.census() == before);
}
TEST_CASE("a create takes a spare machine, and what becomes of the others", "[agent]") {
  in_world(spares_are_taken);
}

static Task<> spares_follow_demand(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  agent::sandbox::Spares spares(agent.host(), 3);
  agent.host().spares = &spares;
  async::Scope scope(executor, "spares");
  scope.spawn(spares.fill());
  std::vector<std::string> ids;
  const auto create = [&](int memory_mb) -> Task<> {
    auto request = clone_request();
    request.memory_mb = memory_mb;
    ids.push_back(request.sandbox_id);
    co_await agent.sandboxes().create(request);
  };
  co_await create(64);
  co_await wait_ready(spares, 3);
  // Three kinds, of which the latest two share.
  co_await create(80);
  co_await create(96);
  const SteadyTime deadline = SteadyClock::now() + 10s;
  const auto sizes = [&] {
    std::map<int, int> count;
    for (const auto& entry : agent.journal().load())
      if (entry.record && entry.record->state == SandboxState::starting) ++count[entry.record->memory_mb];
    return count;
  };
  const std::map<int, int> wanted = {{80, 1}, {96, 2}};
  while ((sizes() != wanted || spares.ready() != 3) && SteadyClock::now() < deadline)
    co_await async::sleep(20ms);
  CHECK(sizes() == wanted);
  scope.cancel();
  co_await scope.join();
  agent.host().spares = nullptr;
  co_await spares.close();
  CHECK(spares.ready() == 0);
  for (const std::string& id : ids) co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("spare machines are of the kinds that were asked for last", "[agent]") {
  in_world(spares_follow_demand);
}

// --- branches

static api::agent::ForkSandboxRequest fork_request(const std::string& parent, int count) {
  api::agent::ForkSandboxRequest request;
  request.sandbox_id = parent;
  for (int i = 0; i < count; ++i)
    request.children.push_back({model::SandboxId::random().text(), std::nullopt, {}});
  return request;
}

static Task<> forks(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto parent = create_request();
  co_await agent.sandboxes().create(parent);
  const auto disk_before = *agent.sandboxes().get(parent.sandbox_id)->record().disk;
  const auto request = fork_request(parent.sandbox_id, 3);
  const auto children = co_await agent.sandboxes().fork(request);
  REQUIRE(children.size() == 3);
  for (const auto& child : children) {
    CHECK(child.status == SandboxState::running);
    co_await introduced(agent, child.sandbox_id);
    // They share the disk of that moment, and write into files of their own.
    const auto& disk = *agent.sandboxes().get(child.sandbox_id)->record().disk;
    CHECK(disk.layers.size() == disk_before.layers.size() + 1);
    CHECK(disk.layers == agent.sandboxes().get(parent.sandbox_id)->record().disk->layers);
  }
  CHECK(state_of(agent, parent.sandbox_id) == SandboxState::running);
  CHECK_FALSE(world.process(agent.sandboxes().get(parent.sandbox_id)->record().machine->pid)->paused);
  // The same call again is the same children.
  const auto again = co_await agent.sandboxes().fork(request);
  CHECK(again.at(2).created_at_us == children.at(2).created_at_us);
  CHECK(agent.sandboxes().list().size() == 4);
  // A child of a paused one, and one whose parent is gone.
  co_await agent.sandboxes().pause(parent.sandbox_id, "");
  const auto late = co_await agent.sandboxes().fork(fork_request(parent.sandbox_id, 1));
  CHECK(state_of(agent, parent.sandbox_id) == SandboxState::paused);
  co_await agent.sandboxes().destroy(parent.sandbox_id);
  co_await agent.host().layers.collect();
  for (const auto& layer : agent.sandboxes().get(late.at(0).sandbox_id)->record().disk->layers)
    CHECK(std::filesystem::exists(layer));
  for (const auto& child : agent.sandboxes().list()) co_await agent.sandboxes().destroy(child.sandbox_id);
  co_await check_empty(world, agent);
  CHECK(co_await count_layers(world, agent) == 0);
  co_await agent.end();
}
TEST_CASE("children go on from the parent's state", "[agent]") {
  in_world(forks);
}

static std::string fork_step;
static Task<> fork_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto parent = create_request();
  co_await agent.sandboxes().create(parent);
  const auto before = world.census();
  const int inits = world.inits;
  world.fail(fork_step);
  std::string failure;
  try {
    (void)co_await agent.sandboxes().fork(fork_request(parent.sandbox_id, 3));
  } catch (const Error& error) {
    failure = error.what();
  }
  CHECK(failure.find("made to fail") != std::string::npos);
  CHECK(world.inits == inits);  // nobody is let in before all run
  co_await agent.host().slots.settle();
  CHECK(world.census() == before);
  CHECK(agent.sandboxes().list().size() == 1);
  CHECK(state_of(agent, parent.sandbox_id) == SandboxState::running);
  CHECK_FALSE(world.process(world.pids().at(0))->paused);
  // It can still be forked, paused and resumed.
  const auto children = co_await agent.sandboxes().fork(fork_request(parent.sandbox_id, 1));
  co_await agent.sandboxes().pause(parent.sandbox_id, "");
  co_await agent.sandboxes().resume(parent.sandbox_id, std::nullopt);
  co_await agent.sandboxes().destroy(parent.sandbox_id);
  co_await agent.sandboxes().destroy(children.at(0).sandbox_id);
  co_await check_empty(world, agent);
  CHECK(co_await count_layers(world, agent) == 0);
  co_await agent.end();
}
TEST_CASE("a fork that fails leaves the parent as it was, and no child", "[agent]") {
  fork_step = GENERATE(as<std::string>{}, "link disk", "overlay", "freeze", "save state", "memory",
                       "push overlay", "restore", "disk", "cgroup");
  CAPTURE(fork_step);
  in_world(fork_fails);
}

static Task<> checkpoints(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  co_await agent.sandboxes().create_checkpoint({id, "cp-1", "before"});
  co_await agent.sandboxes().create_checkpoint({id, "cp-2", ""});
  const auto all = co_await agent.sandboxes().list_checkpoints(id);
  REQUIRE(all.size() == 2);
  CHECK(all.at(0).checkpoint_id == "cp-1");
  CHECK(all.at(0).name == "before");
  for (int i = 0; i < 2; ++i) {
    const auto back = co_await agent.sandboxes().rollback({id, "cp-1", ""});
    CHECK(back.status == SandboxState::running);
    co_await introduced(agent, id);
  }
  CHECK(world.pids().size() == 1);
  // One that is not there changes nothing.
  const std::string failure = co_await failure_of(agent.sandboxes().rollback({id, "cp-9", ""}));
  CHECK(failure.find("no checkpoint") != std::string::npos);
  CHECK(state_of(agent, id) == SandboxState::running);
  // A resume that fails after the way back: paused there, not lost.
  world.fail("restore");
  CHECK(!(co_await failure_of(agent.sandboxes().rollback({id, "cp-2", ""}))).empty());
  CHECK(state_of(agent, id) == SandboxState::paused);
  co_await agent.sandboxes().resume(id, std::nullopt);
  // A machine that died: the checkpoint brings it back.
  world.end(world.pids().at(0), agent::vmm::MachineEnd::Cause::failed);
  co_await wait_for_state(agent, id, SandboxState::error);
  CHECK((co_await agent.sandboxes().rollback({id, "cp-1", ""})).status == SandboxState::running);
  co_await agent.sandboxes().delete_checkpoint({id, "cp-2", ""});
  co_await agent.sandboxes().delete_checkpoint({id, "cp-2", ""});
  CHECK((co_await agent.sandboxes().list_checkpoints(id)).size() == 1);
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  CHECK_FALSE(std::filesystem::exists(world.directory + "/checkpoints/" + id));
  CHECK(co_await count_layers(world, agent) == 0);
  co_await agent.end();
}
TEST_CASE("checkpoints, and the way back", "[agent]") {
  in_world(checkpoints);
}

static Task<> busy_while_freezing(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  FakeAgent agent(executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  // Pause, resume and fork at once: one after the other, none lost.
  async::Scope scope(executor, "callers");
  std::string failures[3];
  const auto fork = [](FakeAgent& agent, api::agent::ForkSandboxRequest request,
                       std::string& failure) -> Task<> {
    try {
      (void)co_await agent.sandboxes().fork(std::move(request));
    } catch (const Error& error) {
      failure = error.what();
    }
  };
  scope.spawn(fork(agent, fork_request(id, 1), failures[0]));
  scope.spawn(ignore(agent.sandboxes().pause(id, ""), failures[1]));
  scope.spawn(fork(agent, fork_request(id, 1), failures[2]));
  co_await scope.join();
  for (const std::string& failure : failures) CHECK(failure.empty());
  CHECK(state_of(agent, id) == SandboxState::paused);
  CHECK(agent.sandboxes().list().size() == 3);
  for (const auto& info : agent.sandboxes().list()) co_await agent.sandboxes().destroy(info.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("commands that come while a sandbox is frozen wait", "[agent]") {
  in_world(busy_while_freezing);
}

// As a crash in the middle of a fork leaves the record; whether the machine has switched only the machine
// knows.
static bool has_switched = false;
static Task<> crash_in_switch(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  agent::Record record;
  agent::disk::DiskRecord before, next;
  std::string layer;
  {
    FakeAgent agent(executor, world);
    co_await agent.sandboxes().create(request);
    record = agent.sandboxes().get(id)->record();
    before = *record.disk;
    layer = agent.host().layers.fresh_disk();
    const auto frozen = agent.host().mechanisms.freeze_disk_by_link(before, layer);
    next = agent::disk::plan_overlay(frozen, id, agent.journal().sandbox_directory(id) + "/disk-next.cow");
    agent.host().mechanisms.make_overlay(next);
    co_await agent.end();
    record.disk_before = before;
    record.disk = next;
    agent.journal().save(record);
  }
  if (has_switched) ++world.process(record.machine->pid)->disk_layers;
  FakeAgent agent(executor, world);
  co_await agent.sandboxes().recover();
  REQUIRE(state_of(agent, id) == SandboxState::running);
  const agent::disk::DiskRecord disk = *agent.sandboxes().get(id)->record().disk;
  CHECK(disk.cow_path == (has_switched ? next.cow_path : before.cow_path));
  CHECK(std::filesystem::exists(disk.cow_path));
  CHECK(std::filesystem::exists(before.cow_path) == !has_switched);
  CHECK(std::filesystem::exists(next.cow_path) == has_switched);
  CHECK(std::filesystem::exists(layer) == has_switched);
  // And the next fork finds everything as it should be.
  const auto children = co_await agent.sandboxes().fork(fork_request(id, 1));
  CHECK(agent.sandboxes().get(id)->record().disk->layers.size() == disk.layers.size() + 1);
  CHECK(world.process(record.machine->pid)->disk_layers ==
        1 + agent.sandboxes().get(id)->record().disk->layers.size());
  co_await agent.sandboxes().destroy(id);
  co_await agent.sandboxes().destroy(children.at(0).sandbox_id);
  co_await check_empty(world, agent);
  CHECK(co_await count_layers(world, agent) == 0);
  co_await agent.end();
}
TEST_CASE("a crash in the middle of a switch of disks is settled by what the machine has", "[agent]") {
  has_switched = GENERATE(false, true);
  CAPTURE(has_switched);
  in_world(crash_in_switch);
}
