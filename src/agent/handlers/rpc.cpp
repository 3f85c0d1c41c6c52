#include "agent/handlers/rpc.h"

#include <algorithm>

#include "agent/host_info.h"
#include "agent/limits.h"
#include "agent/metric_rings.h"
#include "agent/sandbox/create_request.h"
#include "api/agent.h"
#include "core/http/connect_rpc.h"

namespace wrenn::agent {

namespace {

using namespace api::agent;
using async::Task;
using namespace std::chrono_literals;
using sandbox::Host;
using sandbox::Registry;

std::int64_t range_seconds(std::string_view range) {
  const auto seconds = parse_metrics_range(range);
  if (!seconds)
    throw_error(ErrorCode::invalid_argument, "field range: must be 5m, 10m, 1h, 2h, 6h, 12h or 24h");
  return *seconds;
}

struct Service {
  Host& host;
  Registry& registry;
  const HostSampler& sampler;

  Task<SandboxInfo> create(CreateSandboxRequest request) { co_return co_await registry.create(request); }
  Task<Empty> destroy(SandboxRequest request) {
    co_await registry.destroy(request.sandbox_id);
    co_return Empty();
  }
  Task<SandboxInfo> pause(SandboxRequest request) {
    co_return co_await registry.pause(request.sandbox_id, std::string());
  }
  Task<SandboxInfo> resume(ResumeSandboxRequest request) {
    co_return co_await registry.resume(request.sandbox_id, request.timeout_sec);
  }
  Task<ListSandboxesResponse> fork(ForkSandboxRequest request) {
    ListSandboxesResponse response;
    response.sandboxes = co_await registry.fork(std::move(request));
    co_return response;
  }
  Task<CheckpointInfo> create_checkpoint(CheckpointRequest request) {
    co_return co_await registry.create_checkpoint(std::move(request));
  }
  Task<ListCheckpointsResponse> list_checkpoints(SandboxRequest request) {
    ListCheckpointsResponse response;
    response.checkpoints = co_await registry.list_checkpoints(std::move(request.sandbox_id));
    co_return response;
  }
  Task<Empty> delete_checkpoint(CheckpointRequest request) {
    co_await registry.delete_checkpoint(std::move(request));
    co_return Empty();
  }
  Task<SandboxInfo> rollback(CheckpointRequest request) {
    co_return co_await registry.rollback(std::move(request));
  }
  Task<TemplateInfo> create_snapshot(CreateSnapshotRequest request) {
    co_return co_await registry.create_snapshot(std::move(request));
  }
  Task<Empty> delete_template(DeleteTemplateRequest request) {
    co_await registry.delete_template(std::move(request));
    co_return Empty();
  }
  Task<Empty> ping(SandboxRequest request) {
    registry.get(request.sandbox_id)->ping();
    co_return Empty();
  }
  Task<SandboxInfo> get(SandboxRequest request) { co_return registry.get(request.sandbox_id)->info(); }
  Task<ListSandboxesResponse> list(Empty) {
    ListSandboxesResponse response;
    response.sandboxes = registry.list();
    response.agent_up_ms = registry.changes().age().count();
    co_return response;
  }
  Task<ChangesResponse> wait_for_changes(ChangesRequest request) {
    auto& changes = registry.changes();
    const auto patience =
        std::clamp(std::chrono::milliseconds(request.wait_ms), 0ms, limits::kChangesWaitMax);
    co_await changes.wait(std::move(request.epoch), request.revision, patience);
    ChangesResponse response;
    response.epoch = changes.epoch();
    response.revision = changes.revision();
    co_return response;
  }
  Task<MetricsResponse> metrics(MetricsRequest request) {
    const std::int64_t range = range_seconds(request.range);
    MetricsResponse response;
    response.points = registry.get(request.sandbox_id)->metrics(range);
    co_return response;
  }
  Task<HostInfo> info(Empty) { co_return co_await host_info(host); }
  Task<MetricsResponse> host_metrics(HostMetricsRequest request) {
    MetricsResponse response;
    response.points = sampler.points(range_seconds(request.range));
    co_return response;
  }
};

template <typename Input, typename Output>
using Method = Task<Output> (Service::*)(Input);

// One call: JSON in, JSON or a Connect error out. The error answer of a throw is made by the server
// (routes.cpp).
template <typename Input, typename Output>
Task<> answer(Service service, Method<Input, Output> method, http::Request& request, http::Reply& reply) {
  const std::string body = co_await request.body->read_all(limits::kRpcBodyBytes);
  Input input = json::from_json<Input>(body.empty() ? "{}" : body);
  const Output output = co_await (service.*method)(std::move(input));
  http::Response response = http::json_response(200, json::to_json(output));
  co_await reply.send(std::move(response));
}

template <typename Input, typename Output>
void add(http::Router& router, const Service& service, std::string_view name, Method<Input, Output> method) {
  router.add("POST", std::string(kService) + std::string(name),
             [service, method](http::Request& request, http::Reply& reply) {
               return answer<Input, Output>(service, method, request, reply);
             });
}

}  // namespace

void add_rpc_routes(http::Router& router, Host& host, Registry& registry, const HostSampler& sampler) {
  const Service service{host, registry, sampler};
  add(router, service, "CreateSandbox", &Service::create);
  add(router, service, "DestroySandbox", &Service::destroy);
  add(router, service, "PauseSandbox", &Service::pause);
  add(router, service, "ResumeSandbox", &Service::resume);
  add(router, service, "ForkSandbox", &Service::fork);
  add(router, service, "CreateCheckpoint", &Service::create_checkpoint);
  add(router, service, "ListCheckpoints", &Service::list_checkpoints);
  add(router, service, "DeleteCheckpoint", &Service::delete_checkpoint);
  add(router, service, "RollbackSandbox", &Service::rollback);
  add(router, service, "CreateSnapshot", &Service::create_snapshot);
  add(router, service, "DeleteTemplate", &Service::delete_template);
  add(router, service, "PingSandbox", &Service::ping);
  add(router, service, "GetSandbox", &Service::get);
  add(router, service, "ListSandboxes", &Service::list);
  add(router, service, "WaitForChanges", &Service::wait_for_changes);
  add(router, service, "GetSandboxMetrics", &Service::metrics);
  add(router, service, "GetHostInfo", &Service::info);
  add(router, service, "GetHostMetrics", &Service::host_metrics);
}

}  // namespace wrenn::agent
