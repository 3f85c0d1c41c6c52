#include "world_test.h"

#include <catch2/catch.hpp>

#include "core/async/loop.h"
#include "core/async/timeout.h"
#include "core/log/log.h"
#include "linux/temp_dir.h"

namespace wrenn::test {

using namespace std::chrono_literals;
using model::SandboxState;

static Task<> with_guest(World& world, Body body) {
  FakeGuest guest(co_await asio::this_coro::executor, world);
  auto serving = guest.serve();
  auto limited = async::with_timeout(60s, "the test", body(world));
  std::exception_ptr error;
  try {
    co_await async::first_of(std::move(limited), std::move(serving));
  } catch (...) {
    error = std::current_exception();
  }
  world.guest_answers = true;
  co_await guest.stop();
  if (error) std::rethrow_exception(error);
}

void in_world(const Body& body) {
  const auto directory = sys::TempDir::create("/tmp/wrenn-agent-test-");
  World world(directory.path());
  log::set_level(log::Level::error);  // failures are what these tests are about
  async::run_loop("test", [&] { return with_guest(world, body); });
}

Task<> check_empty(World& world, FakeAgent& agent) {
  co_await agent.host().slots.settle();
  CHECK(world.census() == std::set<std::string>{});
  CHECK(agent.host().slots.in_use() == 0);
  CHECK(agent.journal().load().empty());
  CHECK(agent::snapshot::list(agent.host().snapshots()).empty());
  CHECK(agent.sandboxes().list().empty());
}

Task<std::string> failure_of(Task<api::agent::SandboxInfo> task) {
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    co_return error.what();
  }
  co_return std::string();
}

SandboxState state_of(FakeAgent& agent, const std::string& id) {
  const auto driver = agent.sandboxes().find(id);
  return driver ? driver->state() : SandboxState::stopped;
}

Task<> wait_for_state(FakeAgent& agent, std::string id, SandboxState state) {
  while (state_of(agent, id) != state) co_await async::sleep(5ms);
}

Task<> ignore(Task<api::agent::SandboxInfo> task, std::string& failure) {
  failure = co_await failure_of(std::move(task));
}

}  // namespace wrenn::test
