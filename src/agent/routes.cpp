#include "agent/routes.h"

#include "agent/handlers/pass_through.h"
#include "agent/handlers/port_proxy.h"
#include "agent/handlers/rpc.h"
#include "agent/sandbox/spares.h"
#include "core/http/connect_rpc.h"

namespace wrenn::agent {

namespace {

using async::Task;

Task<> health(http::Reply& reply) {
  http::Response response = http::json_response(200, R"({"status":"ok"})");
  co_await reply.send(std::move(response));
}

Task<> metrics(sandbox::Host& host, sandbox::Registry& registry, http::Reply& reply) {
  using enum model::SandboxState;
  const auto counts = registry.count();
  for (const auto state : {starting, running, pausing, paused, resuming, stopping, error}) {
    const auto at = counts.find(state);
    host.figures.registry()
        .gauge("wrenn_agent_sandboxes", "Sandboxes on this host by state.",
               {{"state", std::string(to_string(state))}})
        .set(at == counts.end() ? 0 : at->second);
  }
  host.figures.registry()
      .gauge("wrenn_agent_network_slots_in_use", "Network slots in use.")
      .set(static_cast<double>(host.slots.in_use()));
  host.figures.registry()
      .gauge("wrenn_agent_network_slots_ready", "Network slots made ahead of their use.")
      .set(static_cast<double>(host.slots.ready()));
  host.figures.registry()
      .gauge("wrenn_agent_spares_ready", "Machines made ahead of their use.")
      .set(host.spares == nullptr ? 0 : static_cast<double>(host.spares->ready()));
  http::Response response;
  response.headers.set("Content-Type", metrics::kContentType);
  response.body = host.figures.registry().render();
  co_await reply.send(std::move(response));
}

bool authorized(const http::Request& request, const Secret& token) {
  const auto field = request.headers.get(api::agent::kTokenHeader);
  return field && token.equals(*field);
}

Task<> refuse(http::Reply& reply, ErrorCode code, std::string message, std::string allow = {}) {
  http::Response response = http::connect_error(code, message);
  if (!allow.empty()) {
    response.status = 405;
    response.headers.set("Allow", allow);
  }
  co_await reply.send(std::move(response));
}

}  // namespace

http::Router make_routes(sandbox::Host& host, sandbox::Registry& registry, const HostSampler& sampler) {
  http::Router router;
  router.add("GET", "/health", [](http::Request&, http::Reply& reply) { return health(reply); });
  router.add("GET", "/metrics", [&host, &registry](http::Request&, http::Reply& reply) {
    return metrics(host, registry, reply);
  });
  add_rpc_routes(router, host, registry, sampler);
  add_pass_through_routes(router, host, registry);
  add_port_proxy_routes(router, host, registry);
  return router;
}

http::Handler make_handler(const http::Router& router, const Secret& token) {
  return [&router, &token](http::Request& request, http::Reply& reply) -> Task<> {
    if (!token.empty() && request.path != "/health" && !authorized(request, token))
      return refuse(reply, ErrorCode::unauthenticated,
                    fmt::format("the agent's token is required, in the field {}", api::agent::kTokenHeader));
    const auto match = router.match(request);
    switch (match.found) {
      case http::Router::Found::yes:
        return (*match.handler)(request, reply);
      case http::Router::Found::no_method:
        return refuse(reply, ErrorCode::unimplemented, "method not allowed", match.allow);
      case http::Router::Found::no_path:
        break;
    }
    return refuse(reply, ErrorCode::unimplemented, "no such method of the host agent");
  };
}

http::Response render_error(int status, std::exception_ptr error, const http::Request*) {
  if (error) {
    http::Response response = http::connect_error(code_of(error), describe(error));
    return response;
  }
  http::Response response = http::connect_error(status == 408   ? ErrorCode::deadline_exceeded
                                                : status >= 500 ? ErrorCode::unimplemented
                                                                : ErrorCode::invalid_argument,
                                                http::reason_phrase(status));
  response.status = status;
  return response;
}

}  // namespace wrenn::agent
