#include <catch2/catch.hpp>

#include "agent/limits.h"
#include "core/async/timeout.h"
#include "fake_host.h"
#include "linux/file.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

static Task<> create_and_destroy(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const auto info = co_await agent.sandboxes().create(request);
  CHECK(info.status == SandboxState::running);
  CHECK(info.vcpus == 1);
  CHECK(info.metadata.at("kernel_version") == "6.1.0");
  CHECK(info.metadata.at("envd_version") == "9.8.7");
  CHECK(info.metadata.at("fake_version") == "1");
  CHECK(world.token.size() == 64);
  CHECK(world.inits == 1);
  CHECK(agent.sandboxes().list().size() == 1);

  // The same again is the same sandbox.
  const auto again = co_await agent.sandboxes().create(request);
  CHECK(again.created_at_us == info.created_at_us);
  CHECK(world.inits == 1);

  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.sandboxes().destroy(request.sandbox_id);  // unknown by now: a success
  co_await agent.end();
}
TEST_CASE("a sandbox is created, idempotently, and destroyed without a trace", "[agent]") {
  in_world(create_and_destroy);
}

static std::string failing_step;
static Task<> create_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.fail(failing_step, 1000);
  const auto request = create_request();
  const std::string failure = co_await failure_of(agent.sandboxes().create(request));
  INFO(failure);
  CHECK(!failure.empty());
  world.fail(failing_step, 0);
  co_await check_empty(world, agent);
  // And the way is free for the next try with the same id.
  const auto info = co_await agent.sandboxes().create(request);
  CHECK(info.status == SandboxState::running);
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a create that fails at any step leaves nothing", "[agent]") {
  failing_step = GENERATE(as<std::string>{}, "template", "vmm", "kernel", "acceleration", "claim slot",
                          "claim", "cgroup", "network", "attach", "disk", "start", "init");
  INFO(failing_step);
  in_world(create_fails);
}

static Task<> machine_ends_while_booting(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.guest_answers = false;
  const auto request = create_request();
  std::string failure;
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(ignore(agent.sandboxes().create(request), failure));
  while (world.pids().empty()) co_await async::sleep(5ms);
  world.end(world.pids().front(), agent::vmm::MachineEnd::Cause::reset);
  co_await scope.join();
  CHECK(failure.find("ended before its guest was up") != std::string::npos);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a machine that dies while booting fails the create at once", "[agent]") {
  in_world(machine_ends_while_booting);
}

static Task<> machine_hangs(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  co_await agent.sandboxes().create(request);
  const auto start = SteadyClock::now();
  world.process(world.pids().front())->hangs = true;
  co_await wait_for_state(agent, request.sandbox_id, SandboxState::error);
  CHECK(SteadyClock::now() - start < 1s);
  CHECK(agent.sandboxes().get(request.sandbox_id)->info().reason.find("did not answer") != std::string::npos);
  CHECK(world.pids().empty());
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a machine that hangs is ended, and is an error with its reason", "[agent]") {
  in_world(machine_hangs);
}

static Task<> destroy_during_create(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  world.guest_answers = false;
  const auto request = create_request();
  std::string failure;
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(ignore(agent.sandboxes().create(request), failure));
  while (world.pids().empty()) co_await async::sleep(5ms);
  const auto start = SteadyClock::now();
  co_await agent.sandboxes().destroy(request.sandbox_id);
  CHECK(SteadyClock::now() - start < 2s);
  co_await scope.join();
  CHECK(failure.find("destroyed meanwhile") != std::string::npos);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a destroy cancels a create that is stuck", "[agent]") {
  in_world(destroy_during_create);
}

static Task<> pause_and_resume(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  const std::string token = world.token;
  for (int round = 0; round < 3; ++round) {
    const auto paused = co_await agent.sandboxes().pause(id, "");
    CHECK(paused.status == SandboxState::paused);
    while (agent.host().slots.in_use() > 0) co_await async::sleep(1ms);  // freed right after
    co_await agent.host().slots.settle();
    CHECK(world.census() == std::set<std::string>{"claim " + id});
    CHECK(agent.host().slots.in_use() == 0);
    co_await agent.sandboxes().pause(id, "");  // already
    const auto running = co_await agent.sandboxes().resume(id, 77);
    CHECK(running.status == SandboxState::running);
    CHECK(running.timeout_sec == 77);
    CHECK(world.inits == 2 + round);
    CHECK(world.token == token);
    co_await agent.sandboxes().resume(id, std::nullopt);  // already
  }
  co_await agent.sandboxes().pause(id, "");
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("pause and resume, again and again", "[agent]") {
  in_world(pause_and_resume);
}

static Task<> pause_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  co_await agent.sandboxes().create(request);
  const auto before = world.census();
  world.fail(failing_step);
  const std::string failure = co_await failure_of(agent.sandboxes().pause(request.sandbox_id, ""));
  CHECK(failure.find("made to fail") != std::string::npos);
  CHECK(state_of(agent, request.sandbox_id) == SandboxState::running);
  CHECK_FALSE(world.process(world.pids().at(0))->paused);
  CHECK(world.census() == before);
  CHECK(co_await agent.sandboxes().get(request.sandbox_id)->enter() != nullptr);
  const auto paused = co_await agent.sandboxes().pause(request.sandbox_id, "");
  CHECK(paused.status == SandboxState::paused);
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a pause that fails leaves the sandbox running", "[agent]") {
  failing_step = GENERATE(as<std::string>{}, "freeze", "save state", "memory");
  INFO(failing_step);
  in_world(pause_fails);
}

static Task<> resume_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  co_await agent.sandboxes().pause(id, "");
  world.fail(failing_step);
  const std::string failure = co_await failure_of(agent.sandboxes().resume(id, std::nullopt));
  INFO(failure);
  CHECK(!failure.empty());
  CHECK(state_of(agent, id) == SandboxState::paused);
  co_await agent.host().slots.settle();
  CHECK(world.census() == std::set<std::string>{"claim " + id});
  CHECK(agent.host().slots.in_use() == 0);
  const auto running = co_await agent.sandboxes().resume(id, std::nullopt);
  CHECK(running.status == SandboxState::running);
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a resume that fails leaves the sandbox paused", "[agent]") {
  // After "restore" the guest has run and its old snapshot is void: it is paused anew.
  failing_step = GENERATE(as<std::string>{}, "claim slot", "cgroup", "network", "attach", "open disk",
                          "restore", "unfreeze", "init");
  INFO(failing_step);
  in_world(resume_fails);
}

static Task<> machine_ends(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  world.end(world.pids().front(), agent::vmm::MachineEnd::Cause::failed);
  const auto start = SteadyClock::now();
  co_await wait_for_state(agent, id, SandboxState::error);
  CHECK(SteadyClock::now() - start < 2s);
  while (world.census().size() > 1) co_await async::sleep(5ms);  // freed right after
  co_await agent.host().slots.settle();
  CHECK(world.census() == std::set<std::string>{"claim " + id});
  const auto info = agent.sandboxes().get(id)->info();
  CHECK(info.reason.find("made to end") != std::string::npos);
  CHECK(sys::exists(world.directory + "/sandboxes/" + id + "/disk.cow"));
  const std::string failure = co_await failure_of(agent.sandboxes().resume(id, std::nullopt));
  CHECK(failure.find("roll it back to a checkpoint") != std::string::npos);
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("the end of a VMM is noticed; the disk stays until destroy", "[agent]") {
  in_world(machine_ends);
}

static Task<> destroy_fails(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  co_await agent.sandboxes().create(request);
  world.fail("destroy disk");
  std::string failure;
  try {
    co_await agent.sandboxes().destroy(request.sandbox_id);
  } catch (const Error& error) {
    failure = error.what();
  }
  CHECK(failure.find("made to fail") != std::string::npos);
  CHECK(state_of(agent, request.sandbox_id) == SandboxState::error);
  co_await agent.sandboxes().destroy(request.sandbox_id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("a destroy that fails can be repeated", "[agent]") {
  in_world(destroy_fails);
}

static Task<> commands_meet(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  auto& sandboxes = agent.sandboxes();
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  std::string failures[5];
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(ignore(sandboxes.create(request), failures[0]));
  scope.spawn(ignore(sandboxes.create(request), failures[1]));
  co_await scope.join();
  CHECK(world.reached("start") == 1);
  scope.spawn(ignore(sandboxes.pause(id, ""), failures[2]));
  scope.spawn(ignore(sandboxes.pause(id, ""), failures[3]));
  scope.spawn(ignore(sandboxes.resume(id, std::nullopt), failures[4]));  // waits for the pause
  co_await scope.join();
  for (const auto& failure : failures) CHECK(failure.empty());
  CHECK(world.reached("save state") == 1);
  CHECK(world.reached("restore") == 1);
  CHECK(state_of(agent, id) == SandboxState::running);
  co_await sandboxes.destroy(id);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("commands that meet are merged or wait for each other", "[agent]") {
  in_world(commands_meet);
}

static Task<> boots_take_turns(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  auto& sandboxes = agent.sandboxes();
  world.guest_answers = false;
  api::agent::CreateSandboxRequest requests[4];
  std::string failures[4];
  async::Scope scope(co_await asio::this_coro::executor, "test");
  for (int i = 0; i < 4; ++i) {
    requests[i] = create_request();
    scope.spawn(ignore(sandboxes.create(requests[i]), failures[i]));
    while (world.reached("attach") <= i) co_await async::sleep(5ms);  // so that the order is known
    while (i < 2 && world.pids().size() <= static_cast<std::size_t>(i)) co_await async::sleep(5ms);
    co_await async::sleep(20ms);
  }
  CHECK(world.pids().size() == 2);                     // the fake host has two places
  co_await sandboxes.destroy(requests[2].sandbox_id);  // one that waits
  CHECK(world.pids().size() == 2);
  world.guest_answers = true;
  co_await scope.join();
  for (const int i : {0, 1, 3}) {
    CHECK(failures[i].empty());
    CHECK(state_of(agent, requests[i].sandbox_id) == SandboxState::running);
    co_await sandboxes.destroy(requests[i].sandbox_id);
  }
  CHECK(failures[2].find("destroyed meanwhile") != std::string::npos);
  co_await check_empty(world, agent);
  co_await agent.end();
}
TEST_CASE("cold boots take turns", "[agent]") {
  in_world(boots_take_turns);
}

static Task<> idle(World& world) {
  FakeAgent agent(co_await asio::this_coro::executor, world);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(agent.sandboxes().watch_idle());
  auto request = create_request();
  request.timeout_sec = 1;
  const std::string id = request.sandbox_id;
  co_await agent.sandboxes().create(request);
  auto passage = co_await agent.sandboxes().get(id)->enter();  // a long exec
  co_await async::sleep(2500ms);
  CHECK(state_of(agent, id) == SandboxState::running);
  world.fail("freeze");
  passage.reset();
  while (world.reached("freeze") == 0) co_await async::sleep(5ms);  // the first automatic pause fails
  co_await wait_for_state(agent, id, SandboxState::running);
  co_await async::sleep(500ms);  // the next is not yet due
  CHECK(world.reached("freeze") == 1);
  CHECK(state_of(agent, id) == SandboxState::running);
  auto paused = wait_for_state(agent, id, SandboxState::paused);
  co_await async::with_timeout(agent::limits::kTtlRetryFirst + 2s, "pause", std::move(paused));
  CHECK(agent.sandboxes().get(id)->info().reason == "ttl_expired");
  co_await agent.sandboxes().destroy(id);
  co_await check_empty(world, agent);
  scope.cancel();
  co_await scope.join();
  co_await agent.end();
}
TEST_CASE("an idle sandbox is paused, a busy one is not, and a failed pause is tried again", "[agent]") {
  in_world(idle);
}
