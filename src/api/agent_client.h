// Calls from the control plane to one host agent.
#pragma once

#include <chrono>
#include <string>

#include "api/agent.h"
#include "api/envd_client.h"
#include "core/http/client.h"

namespace wrenn::api {

class AgentClient {
 public:
  // `client` must outlive this; its options carry the credentials.
  explicit AgentClient(http::Client& client) : client_(client) {}

  // All throw Error with the agent's code, or unavailable / deadline_exceeded when it does not answer. The
  // reasons in what they return are fit to be stored and shown: http::presentable().
  Task<agent::SandboxInfo> create(agent::CreateSandboxRequest request);
  Task<> destroy(std::string sandbox_id);  // of an unknown id: succeeds
  Task<agent::SandboxInfo> pause(std::string sandbox_id);
  Task<agent::SandboxInfo> resume(agent::ResumeSandboxRequest request);
  // The children, in the order of the request: all run, or none exists.
  Task<agent::ListSandboxesResponse> fork(agent::ForkSandboxRequest request);
  Task<agent::CheckpointInfo> create_checkpoint(agent::CheckpointRequest request);
  Task<agent::ListCheckpointsResponse> list_checkpoints(std::string sandbox_id);
  Task<> delete_checkpoint(agent::CheckpointRequest request);  // of an unknown one: succeeds
  // The sandbox goes on, running, from the checkpoint, which stays.
  Task<agent::SandboxInfo> rollback(agent::CheckpointRequest request);
  Task<agent::TemplateInfo> create_snapshot(agent::CreateSnapshotRequest request);
  Task<> delete_template(agent::DeleteTemplateRequest request);
  Task<> ping(std::string sandbox_id);
  Task<agent::ListSandboxesResponse> list();
  // Throws Error(unimplemented) if the agent is too old for it.
  Task<agent::ChangesResponse> wait_for_changes(agent::ChangesRequest request);
  Task<agent::MetricsResponse> metrics(agent::MetricsRequest request);
  Task<agent::HostInfo> host_info();
  // Throws Error(unimplemented) if the agent is too old for it.
  Task<agent::MetricsResponse> host_metrics(agent::HostMetricsRequest request);

  // envd of a running sandbox through the agent. Using it counts as activity of the sandbox.
  EnvdClient envd(const std::string& sandbox_id);

  http::Client& http() noexcept { return client_; }

 private:
  template <typename Response, typename Request>
  Task<Response> call(std::string method, Request request, std::chrono::steady_clock::duration timeout);

  http::Client& client_;
};

}  // namespace wrenn::api
