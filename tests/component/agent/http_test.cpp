// The agent behind its listener: calls, pass-through, and what happens to streams when a sandbox stands
// still.
#include <catch2/catch.hpp>

#include "core/async/timeout.h"
#include "service_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

namespace {

Task<http::Response> get(http::Client& client, std::string target, http::Headers headers = {}) {
  http::ClientRequest request;
  request.target = std::move(target);
  request.headers = std::move(headers);
  co_return co_await client.send(std::move(request));
}

Task<> calls(World& world) {
  Service service(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  const auto created = co_await service.client.create(request);
  CHECK(created.status == SandboxState::running);
  co_await service.client.ping(id);
  const auto list = co_await service.client.list();
  CHECK(list.sandboxes.size() == 1);

  // Into the guest: the token is added, the target is passed on as it is.
  http::ClientRequest echo;
  echo.method = "POST";
  echo.target = "/sandboxes/" + id + "/envd/echo?x=%2F";
  echo.body = "hello";
  auto response = co_await service.http.send(std::move(echo));
  CHECK(response.status == 200);
  CHECK(response.body == "/echo?x=%2F|hello");
  response = co_await get(service.http, "/sandboxes/" + id + "/envd/nothing-there");
  CHECK(response.status == 404);

  api::agent::MetricsRequest metrics{id, "10m"};
  auto points = co_await service.client.metrics(metrics);
  while (points.points.empty()) {
    co_await async::sleep(50ms);
    points = co_await service.client.metrics(metrics);
  }
  REQUIRE(points.points.size() == 1);
  CHECK(points.points[0].mem_bytes == 1048576);
  CHECK(points.points[0].disk_bytes == 12345);

  const auto paused = co_await service.client.pause(id);
  CHECK(paused.status == SandboxState::paused);
  response = co_await get(service.http, "/sandboxes/" + id + "/envd/echo");
  CHECK(response.status == 400);
  CHECK(response.body.find("not running (status: paused") != std::string::npos);

  response = co_await get(service.http, "/metrics");
  CHECK(response.body.find("wrenn_agent_sandboxes{state=\"paused\"} 1\n") != std::string::npos);
  CHECK(response.body.find("wrenn_agent_sandbox_stage_duration_seconds_count{stage=\"boot\"} 1\n") !=
        std::string::npos);
  response = co_await get(service.http, "/health");
  CHECK(response.status == 200);

  co_await service.client.destroy(id);
  co_await service.client.destroy(id);
  co_await check_empty(world, service.agent);
  co_await service.end();
}

Task<> metrics_of_the_host(World& world) {
  Service service(co_await asio::this_coro::executor, world);
  co_await service.sampler.sample();
  auto told = co_await service.client.host_metrics({});
  CHECK(told.points.empty());  // one reading tells no share of the CPUs
  co_await service.sampler.sample();
  for (const char* range : {"5m", "10m", "1h", "2h", "6h", "12h", "24h"}) {
    CAPTURE(range);
    told = co_await service.client.host_metrics({range});
    REQUIRE(told.points.size() == 1);
    CHECK(told.points[0].cpu_pct == 25);
    CHECK(told.points[0].mem_bytes == 5 << 20);
    CHECK(told.points[0].disk_bytes == 7 << 20);
    CHECK(told.points[0].timestamp_unix > now().seconds() - 60);
  }
  for (const char* range : {"", "7m", "10M", "10m "}) {
    CAPTURE(range);
    auto code = ErrorCode::unknown;
    std::string why;
    try {
      co_await service.client.host_metrics({range});
    } catch (const Error& error) {
      code = error.code();
      why = error.what();
    }
    CHECK(code == ErrorCode::invalid_argument);
    CHECK(why.find("range: must be") != std::string::npos);
  }
  co_await service.end();
}

Task<ErrorCode> code_of_pause(api::AgentClient& client, std::string id) {
  try {
    co_await client.pause(std::move(id));
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return ErrorCode::unknown;
}

Task<> errors(World& world) {
  Service service(co_await asio::this_coro::executor, world);
  const std::string unknown = create_request().sandbox_id;
  CHECK(co_await code_of_pause(service.client, unknown) == ErrorCode::not_found);
  auto response = co_await get(service.http, "/sandboxes/" + unknown + "/envd/health");
  CHECK(response.status == 404);
  response = co_await get(service.http, "/nowhere");
  CHECK(response.status >= 400);
  http::ClientRequest broken;
  broken.method = "POST";
  broken.target = "/hostagent.v1.HostAgentService/CreateSandbox";
  broken.body = "{not json";
  response = co_await service.http.send(std::move(broken));
  CHECK(response.status == 400);
  CHECK(response.body.find("invalid_argument") != std::string::npos);
  co_await service.end();
}

Task<> token(World& world) {
  Service service(co_await asio::this_coro::executor, world, Secret("s3cret"));
  auto response = co_await get(service.http, "/health");
  CHECK(response.status == 200);
  response = co_await get(service.http, "/metrics");
  CHECK(response.status == 401);
  http::Headers headers;
  headers.set(api::agent::kTokenHeader, "s3cre");
  response = co_await get(service.http, "/metrics", headers);
  CHECK(response.status == 401);
  headers.set(api::agent::kTokenHeader, "s3cret");
  response = co_await get(service.http, "/metrics", headers);
  CHECK(response.status == 200);
  co_await service.end();
}

Task<> read_stream(http::Client& client, std::string id, std::size_t& bytes, std::string& end) {
  try {
    const std::string target = "/sandboxes/" + id + "/envd/stream";
    http::Headers headers;
    auto exchange = co_await client.begin("GET", target, std::move(headers), http::Client::BodyKind::none);
    co_await exchange->read_head(5s);
    char buffer[1024];
    for (;;) {
      const std::size_t got = co_await exchange->body().read_some(buffer);
      if (got == 0) break;
      bytes += got;
    }
    end = "proper end";
  } catch (const Error& error) {
    end = error.what();
  }
}

// What must not happen to a stream: to hang, or to end as if all had been said.
Task<> stream_is_cut(World& world, std::function<Task<>(Service&, std::string)> stop) {
  Service service(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  const std::string id = request.sandbox_id;
  co_await service.client.create(request);
  std::size_t bytes = 0;
  std::string end;
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(read_stream(service.http, id, bytes, end));
  while (bytes < 20) co_await async::sleep(10ms);
  CHECK(service.agent.sandboxes().get(id)->state() == SandboxState::running);
  const auto start = SteadyClock::now();
  co_await stop(service, id);
  auto ended = scope.join();
  co_await async::with_timeout(3s, "the end of the stream", std::move(ended));
  CHECK(SteadyClock::now() - start < 5s);
  CHECK(!end.empty());
  CHECK(end != "proper end");
  co_await service.client.destroy(id);
  co_await check_empty(world, service.agent);
  co_await service.end();
}

Task<> by_pause(Service& service, std::string id) {
  const auto info = co_await service.client.pause(id);
  CHECK(info.status == SandboxState::paused);
}
Task<> by_destroy(Service& service, std::string id) {
  co_await service.client.destroy(id);
}
Task<> by_end_of_vmm(Service& service, std::string id) {
  World& world = service.world;
  world.end(world.pids().front(), agent::vmm::MachineEnd::Cause::failed);
  co_await wait_for_state(service.agent, id, SandboxState::error);
}

}  // namespace

TEST_CASE("calls and pass-through over HTTP", "[agent]") {
  in_world(calls);
}
TEST_CASE("the host's own metrics over HTTP", "[agent]") {
  in_world(metrics_of_the_host);
}
TEST_CASE("mistakes get Connect errors", "[agent]") {
  in_world(errors);
}
TEST_CASE("an agent with a token asks for it", "[agent]") {
  in_world(token);
}
TEST_CASE("a stream through a pause, a destroy or the end of the VMM breaks off visibly", "[agent]") {
  SECTION("pause") {
    in_world([](World& world) { return stream_is_cut(world, by_pause); });
  }
  SECTION("destroy") {
    in_world([](World& world) { return stream_is_cut(world, by_destroy); });
  }
  SECTION("end of the VMM") {
    in_world([](World& world) { return stream_is_cut(world, by_end_of_vmm); });
  }
}
