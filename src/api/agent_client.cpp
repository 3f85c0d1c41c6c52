#include "api/agent_client.h"

#include "api/limits.h"

namespace wrenn::api {

// What an agent says of a sandbox is stored and shown, and the end of a guest's console may stand in it: hostile text.
static void make_presentable(agent::SandboxInfo& info) {
  info.reason = http::presentable(info.reason);
}
static void make_presentable(agent::ListSandboxesResponse& list) {
  for (auto& info : list.sandboxes) make_presentable(info);
}
template <typename Response>
static void make_presentable(Response&) {}

template <typename Response, typename Request>
Task<Response> AgentClient::call(std::string method, Request request, std::chrono::steady_clock::duration timeout) {
  std::string target = std::string(agent::kService) + method;
  std::string body = json::to_json(request);
  http::Headers headers;
  const std::string answer =
      co_await http::connect_unary(client_, std::move(target), std::move(headers), std::move(body), timeout);
  auto response = json::from_json<Response>(answer);
  make_presentable(response);
  co_return response;
}

Task<agent::SandboxInfo> AgentClient::create(agent::CreateSandboxRequest request) {
  co_return co_await call<agent::SandboxInfo>("CreateSandbox", std::move(request), limits::kAgentCreate);
}
Task<> AgentClient::destroy(std::string sandbox_id) {
  agent::SandboxRequest request{std::move(sandbox_id)};
  co_await call<agent::Empty>("DestroySandbox", std::move(request), limits::kAgentDestroy);
}
Task<agent::SandboxInfo> AgentClient::pause(std::string sandbox_id) {
  agent::SandboxRequest request{std::move(sandbox_id)};
  co_return co_await call<agent::SandboxInfo>("PauseSandbox", std::move(request), limits::kAgentPause);
}
Task<agent::SandboxInfo> AgentClient::resume(agent::ResumeSandboxRequest request) {
  co_return co_await call<agent::SandboxInfo>("ResumeSandbox", std::move(request), limits::kAgentResume);
}
Task<agent::ListSandboxesResponse> AgentClient::fork(agent::ForkSandboxRequest request) {
  co_return co_await call<agent::ListSandboxesResponse>("ForkSandbox", std::move(request), limits::kAgentFork);
}
Task<agent::CheckpointInfo> AgentClient::create_checkpoint(agent::CheckpointRequest request) {
  co_return co_await call<agent::CheckpointInfo>("CreateCheckpoint", std::move(request), limits::kAgentPause);
}
Task<agent::ListCheckpointsResponse> AgentClient::list_checkpoints(std::string sandbox_id) {
  agent::SandboxRequest request{std::move(sandbox_id)};
  co_return co_await call<agent::ListCheckpointsResponse>("ListCheckpoints", std::move(request), limits::kAgentQuery);
}
Task<> AgentClient::delete_checkpoint(agent::CheckpointRequest request) {
  co_await call<agent::Empty>("DeleteCheckpoint", std::move(request), limits::kAgentDestroy);
}
Task<agent::SandboxInfo> AgentClient::rollback(agent::CheckpointRequest request) {
  co_return co_await call<agent::SandboxInfo>("RollbackSandbox", std::move(request), limits::kAgentResume);
}
Task<agent::TemplateInfo> AgentClient::create_snapshot(agent::CreateSnapshotRequest request) {
  co_return co_await call<agent::TemplateInfo>("CreateSnapshot", std::move(request), limits::kAgentPause);
}
Task<> AgentClient::delete_template(agent::DeleteTemplateRequest request) {
  co_await call<agent::Empty>("DeleteTemplate", std::move(request), limits::kAgentDestroy);
}
Task<> AgentClient::ping(std::string sandbox_id) {
  agent::SandboxRequest request{std::move(sandbox_id)};
  co_await call<agent::Empty>("PingSandbox", std::move(request), limits::kAgentQuery);
}
Task<agent::ListSandboxesResponse> AgentClient::list() {
  agent::Empty request;
  co_return co_await call<agent::ListSandboxesResponse>("ListSandboxes", request, limits::kAgentQuery);
}
Task<agent::ChangesResponse> AgentClient::wait_for_changes(agent::ChangesRequest request) {
  const auto timeout = std::chrono::milliseconds(request.wait_ms) + limits::kAgentQuery;
  co_return co_await call<agent::ChangesResponse>("WaitForChanges", std::move(request), timeout);
}
Task<agent::MetricsResponse> AgentClient::metrics(agent::MetricsRequest request) {
  co_return co_await call<agent::MetricsResponse>("GetSandboxMetrics", std::move(request), limits::kAgentQuery);
}
Task<agent::HostInfo> AgentClient::host_info() {
  agent::Empty request;
  co_return co_await call<agent::HostInfo>("GetHostInfo", request, limits::kAgentQuery);
}
Task<agent::MetricsResponse> AgentClient::host_metrics(agent::HostMetricsRequest request) {
  co_return co_await call<agent::MetricsResponse>("GetHostMetrics", std::move(request), limits::kAgentQuery);
}

EnvdClient AgentClient::envd(const std::string& sandbox_id) {
  return EnvdClient(client_, "/sandboxes/" + sandbox_id + "/envd");
}

}  // namespace wrenn::api
