// Who waits for changes is told what nobody asked for, and nothing else.
#include <catch2/catch.hpp>

#include <optional>

#include "agent/limits.h"
#include "service_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

namespace {

// A call that is on its way. Whoever made it ends with join().
struct Waiting {
  Waiting(const asio::any_io_executor& executor, api::AgentClient& client,
          const api::agent::ChangesResponse& since)
      : scope_(executor, "test") {
    scope_.spawn(ask_on(client, {since.epoch, since.revision, 60'000}));
  }
  Task<> join() { co_await scope_.join(); }

  std::optional<api::agent::ChangesResponse> answer;

 private:
  Task<> ask_on(api::AgentClient& client, api::agent::ChangesRequest request) {
    answer = co_await client.wait_for_changes(std::move(request));
  }

  async::Scope scope_;
};

Task<api::agent::ChangesResponse> ask(api::AgentClient& client, std::string epoch, std::int64_t revision,
                                      std::chrono::milliseconds patience) {
  api::agent::ChangesRequest request;
  request.epoch = std::move(epoch);
  request.revision = revision;
  request.wait_ms = patience.count();
  co_return co_await client.wait_for_changes(std::move(request));
}

Task<> told_of_an_end(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  Service service(executor, world);
  const auto first = co_await ask(service.client, "", 0, 1min);  // at once
  CHECK(!first.epoch.empty());

  // What was asked for is no news.
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await service.client.create(request);
  co_await service.client.pause(id);
  api::agent::ResumeSandboxRequest resume{id, {}};
  co_await service.client.resume(resume);
  const auto quiet = co_await ask(service.client, first.epoch, first.revision, 50ms);
  CHECK(quiet.epoch == first.epoch);
  CHECK(quiet.revision == first.revision);

  Waiting waiting(executor, service.client, first);
  co_await async::sleep(50ms);
  CHECK_FALSE(waiting.answer);
  world.end(world.pids().back(), agent::vmm::MachineEnd::Cause::failed);
  co_await waiting.join();
  REQUIRE(waiting.answer);
  CHECK(waiting.answer->revision > first.revision);
  // Whoever looks now, while its rests are being freed, sees what is going on and why.
  const auto list = co_await service.client.list();
  REQUIRE(list.sandboxes.size() == 1);
  CHECK(list.sandboxes[0].status == SandboxState::error);
  CHECK(!list.sandboxes[0].reason.empty());
  CHECK(list.agent_up_ms > 0);

  // Another epoch's revision says nothing, not even an equal one.
  const auto other = co_await ask(service.client, "another", waiting.answer->revision, 1min);
  CHECK(other.epoch == first.epoch);
  co_await service.client.destroy(id);
  co_await service.end();
}

Task<> told_of_a_timeout(World& world) {
  Service service(co_await asio::this_coro::executor, world);
  async::Scope reaper(co_await asio::this_coro::executor, "reaper");
  reaper.spawn(service.agent.sandboxes().watch_idle());
  auto request = create_request();
  request.timeout_sec = 1;
  const auto before = co_await ask(service.client, "", 0, 0ms);
  co_await service.client.create(request);  // no news: it was asked for
  const auto after = co_await ask(service.client, before.epoch, before.revision, 1min);
  CHECK(after.revision == before.revision + 1);
  CHECK(state_of(service.agent, request.sandbox_id) == SandboxState::paused);
  reaper.cancel();
  co_await reaper.join();
  co_await service.client.destroy(request.sandbox_id);
  co_await service.end();
}

Task<> ends_with_the_agent(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  Service service(executor, world);
  const auto first = co_await ask(service.client, "", 0, 0ms);
  Waiting waiting(executor, service.client, first);
  co_await async::sleep(50ms);
  service.agent.sandboxes().changes().close();
  co_await waiting.join();
  REQUIRE(waiting.answer);
  CHECK(waiting.answer->revision == first.revision);
  co_await service.end();
}

}  // namespace

TEST_CASE("the end of a machine is told at once", "[agent]") {
  in_world(told_of_an_end);
}
TEST_CASE("a pause after idleness is told", "[agent]") {
  in_world(told_of_a_timeout);
}
TEST_CASE("who waits for changes is answered when the agent ends", "[agent]") {
  in_world(ends_with_the_agent);
}
