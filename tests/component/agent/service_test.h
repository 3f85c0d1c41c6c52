// An agent with a listener, and a client for it.
#pragma once

#include "agent/host_sampler.h"
#include "agent/routes.h"
#include "api/agent_client.h"
#include "world_test.h"

namespace wrenn::test {

using namespace std::chrono_literals;

class Service {
 public:
  Service(async::Executor executor, World& in_world, Secret token = {})
      : world(in_world),
        agent(executor, world),
        sampler(agent.host().sys, [] { return reading(); }),
        token_(std::move(token)),
        router_(agent::make_routes(agent.host(), agent.sandboxes(), sampler)),
        listener_(executor, net::Address::unix_socket(world.directory + "/agent.sock")),
        server_(executor, agent::make_handler(router_, token_), options()),
        scope_(executor, "service"),
        http(executor, listener_.address()),
        client(http) {
    scope_.spawn(server_.serve(listener_));
  }
  Task<> end() {
    co_await server_.stop(1s);
    co_await scope_.join();
    co_await agent.end();
  }

  World& world;
  FakeAgent agent;
  agent::HostSampler sampler;  // takes a sample when it is told to

 private:
  // Of a host with one CPU of four busy.
  static agent::HostReading reading() {
    static std::uint64_t ticks = 0;
    ticks += 100;
    return {.at = now(), .cpu = {.busy = ticks, .total = 4 * ticks}, .mem_bytes = 5 << 20, .disk_bytes = 7 << 20};
  }
  static http::ServerOptions options() {
    http::ServerOptions options;
    options.render_error = agent::render_error;
    return options;
  }
  Secret token_;
  http::Router router_;
  net::Listener listener_;
  http::Server server_;
  async::Scope scope_;

 public:
  http::Client http;
  api::AgentClient client;
};

}  // namespace wrenn::test
