// The agent dies at every crash point that an operation reaches, and the next one takes over the world that
// it leaves.
//
// Death is played: the agent runs on a thread and a loop of its own, and whichever of its threads reaches the
// point stops there for good, its loop with it. Nothing is unwound, as nothing is after a SIGKILL. Those
// threads, and what they hold, stay until the program ends.
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "core/async/loop.h"
#include "core/async/timeout.h"
#include "core/base/crash_point.h"
#include "fake_host.h"
#include "world_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

namespace {

// One life of an agent.
struct Life {
  std::string death;  // "NAME:N"; empty: none
  std::optional<async::Executor> executor;
  std::mutex mutex;
  std::map<std::string, int> counts;
  std::vector<std::string> reached;
  std::atomic<bool> dying = false, dead = false, done = false;
  std::string failure;
};

std::atomic<Life*> watched = nullptr;  // its points count

[[noreturn]] void stop_forever() {
  for (;;) ::pause();
}

void reach(std::string_view name, std::string_view part) {
  Life* const life = watched.load();
  if (life == nullptr) return;
  if (life->dying) stop_forever();
  std::string point = std::string(name) + std::string(part);
  {
    const std::lock_guard lock(life->mutex);
    point += ":" + std::to_string(++life->counts[point]);
    life->reached.push_back(point);
  }
  if (point != life->death) return;
  life->dying = true;
  watched = nullptr;
  asio::post(*life->executor, [] { stop_forever(); });  // unless this is the loop itself
  std::this_thread::sleep_for(2ms);                     // what other threads are at is soon done
  life->dead = true;
  stop_forever();
}

using Act = std::function<Task<>(FakeAgent&)>;

Task<> live(World& world, Life& life, Act prepare, Act act) {
  life.executor = co_await asio::this_coro::executor;
  FakeAgent agent(*life.executor, world);
  co_await agent.sandboxes().recover();
  co_await prepare(agent);
  watched = &life;
  std::string failure;
  try {
    co_await act(agent);
  } catch (const Error& error) {
    failure = describe(error);
  }
  co_await agent.host().slots.settle();  // the last points are those of the background
  watched = nullptr;
  life.failure = std::move(failure);
  co_await agent.end();
}

// What one operation is, and what may be there after a death in it: `check` runs in the agent that recovered.
struct Operation {
  Act prepare;
  Act act;
  Act check;
};

Task<std::vector<std::string>> run_once(World& world, const Operation& operation, std::string death) {
  auto& life = *new Life;  // its threads may look at it for ever
  life.death = std::move(death);
  crash_points::hook = reach;
  std::thread thread([&world, &life, &operation] {
    async::run_loop("agent", [&] { return live(world, life, operation.prepare, operation.act); }, false);
    life.done = true;
  });
  thread.detach();
  while (!life.dead && !life.done) co_await async::sleep(1ms);
  CHECK(life.failure.empty());
  CHECK((life.death.empty() || life.dead));

  FakeAgent next(co_await asio::this_coro::executor, world);
  co_await next.sandboxes().recover();
  co_await operation.check(next);
  for (const auto& left : next.sandboxes().list()) co_await next.sandboxes().destroy(left.sandbox_id);
  co_await check_empty(world, next);
  co_await next.host().layers.collect();
  for (const char* directory : {"/forks", "/checkpoints", "/sandboxes", "/snapshots"})
    if (std::filesystem::exists(world.directory + directory))
      CHECK(std::filesystem::is_empty(world.directory + directory));
  CHECK(world.pids().empty());
  co_await next.end();
  std::lock_guard lock(life.mutex);
  co_return life.reached;
}

// Of the walk under way.
Operation walked;
std::string death;
std::vector<std::string> points;

Task<> one_life(World& world) {
  points = co_await run_once(world, walked, death);
}

void walk(Operation operation, std::size_t at_least) {
  // Each death leaves a loop's descriptors behind.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  walked = std::move(operation);
  death.clear();
  in_world(one_life);
  const auto all = points;
  CHECK(all.size() >= at_least);
  for (const std::string& point : all) {
    death = point;
    INFO("dies at " << point);
    in_world(one_life);
  }
}

const std::string kId = "cl-0123456789abcdefghijklmno";

api::agent::CreateSandboxRequest request_for(const std::string& id) {
  auto request = create_request();
  request.sandbox_id = id;
  return request;
}

// Runs in the end, whatever it was.
Task<> must_live(FakeAgent& agent) {
  const auto state = state_of(agent, kId);
  CHECK((state == SandboxState::running || state == SandboxState::paused));
  if (state == SandboxState::paused) co_await agent.sandboxes().resume(kId, std::nullopt);
  CHECK(state_of(agent, kId) == SandboxState::running);
}
Task<> may_live(FakeAgent& agent) {
  if (state_of(agent, kId) == SandboxState::stopped) co_return;
  CHECK(state_of(agent, kId) == SandboxState::running);
}
Task<> nothing(FakeAgent&) {
  co_return;
}
Task<> create_one(FakeAgent& agent) {
  co_await agent.sandboxes().create(request_for(kId));
}
Task<> pause_one(FakeAgent& agent) {
  co_await agent.sandboxes().pause(kId, "");
}
Task<> resume_one(FakeAgent& agent) {
  co_await agent.sandboxes().resume(kId, std::nullopt);
}
Task<> destroy_one(FakeAgent& agent) {
  co_await agent.sandboxes().destroy(kId);
}
Task<> create_and_pause(FakeAgent& agent) {
  co_await create_one(agent);
  co_await pause_one(agent);
}
Task<> fork_two(FakeAgent& agent) {
  api::agent::ForkSandboxRequest request;
  request.sandbox_id = kId;
  for (int i = 0; i < 2; ++i)
    request.children.push_back({model::SandboxId::random().text(), std::nullopt, {}});
  (void)co_await agent.sandboxes().fork(request);
}
Task<> check_fork(FakeAgent& agent) {
  co_await must_live(agent);
  for (const auto& one : agent.sandboxes().list()) CHECK(one.status == SandboxState::running);
}
api::agent::CheckpointRequest checkpoint_request() {
  return {.sandbox_id = kId, .checkpoint_id = "one", .name = "one"};
}
Task<> make_checkpoint(FakeAgent& agent) {
  (void)co_await agent.sandboxes().create_checkpoint(checkpoint_request());
}
Task<> create_and_checkpoint(FakeAgent& agent) {
  co_await create_one(agent);
  co_await make_checkpoint(agent);
}
Task<> roll_back(FakeAgent& agent) {
  (void)co_await agent.sandboxes().rollback(checkpoint_request());
}
// What is listed is whole.
Task<> check_checkpoint(FakeAgent& agent) {
  co_await must_live(agent);
  const auto listed = co_await agent.sandboxes().list_checkpoints(kId);
  if (!listed.empty()) co_await roll_back(agent);
  CHECK(state_of(agent, kId) == SandboxState::running);
}
Task<> check_rollback(FakeAgent& agent) {
  co_await must_live(agent);
  co_await roll_back(agent);
}
const std::string kTemplate = "0000000000000000000000abc", kTeam = "0000000000000000000000def";
Task<> make_template(FakeAgent& agent) {
  api::agent::CreateSnapshotRequest request;
  request.sandbox_id = kId;
  request.template_id = kTemplate;
  request.template_team_id = kTeam;
  request.template_name = "made";
  (void)co_await agent.sandboxes().create_snapshot(request);
}
Task<> delete_template(FakeAgent& agent) {
  api::agent::DeleteTemplateRequest request;
  request.template_id = kTemplate;
  request.template_team_id = kTeam;
  co_await agent.sandboxes().delete_template(request);
}
Task<> make_and_delete_template(FakeAgent& agent) {
  co_await make_template(agent);
  co_await delete_template(agent);
}
Task<> check_template(FakeAgent& agent) {
  co_await must_live(agent);
  co_await make_template(agent);  // whatever is there gives way
  co_await delete_template(agent);
}

}  // namespace

TEST_CASE("an agent that dies in a create leaves all of the sandbox or nothing", "[agent][crash]") {
  walk({nothing, create_one, may_live}, 20);
}
TEST_CASE("an agent that dies in a pause loses nothing", "[agent][crash]") {
  walk({create_one, pause_one, must_live}, 15);
}
TEST_CASE("an agent that dies in a resume loses nothing", "[agent][crash]") {
  walk({create_and_pause, resume_one, must_live}, 15);
}
TEST_CASE("an agent that dies in a destroy leaves nothing, or what can be destroyed", "[agent][crash]") {
  walk({create_one, destroy_one, may_live}, 10);
}
TEST_CASE("an agent that dies in a fork leaves the parent running", "[agent][crash]") {
  walk({create_one, fork_two, check_fork}, 40);
}
TEST_CASE("an agent that dies in a checkpoint leaves the sandbox running", "[agent][crash]") {
  walk({create_one, make_checkpoint, check_checkpoint}, 15);
}
TEST_CASE("an agent that dies in a rollback leaves one of the two moments", "[agent][crash]") {
  walk({create_and_checkpoint, roll_back, check_rollback}, 20);
}
TEST_CASE("an agent that dies while it makes or deletes a template leaves the sandbox running",
          "[agent][crash]") {
  walk({create_one, make_and_delete_template, check_template}, 20);
}
