// The wire between control plane and host agent: unary Connect calls of hostagent.v1.HostAgentService with JSON
// (spec/hostagent.md §2), and one pass-through: /sandboxes/{id}/envd/… goes to the guest's envd with its access token
// added, so exec, PTY, files and signals need no second protocol. Every call is idempotent by sandbox id.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/fields.h"
#include "model/sandbox_state.h"

namespace wrenn::api::agent {

using model::SandboxState;

inline constexpr std::string_view kService = "/hostagent.v1.HostAgentService/";
// What the agent asks of its control plane on TCP. Not Authorization: that one passes through to envd, where it names
// the user.
inline constexpr std::string_view kTokenHeader = "X-Wrenn-Agent-Token";

struct CreateSandboxRequest {
  std::string sandbox_id;  // text of a model::SandboxId
  std::string team_id;
  std::string template_id;       // 25 base36 digits
  std::string template_team_id;  // whose directory holds the template: digits of a team id
  std::string template_name;     // for messages
  std::int32_t vcpus = 1;
  std::int32_t memory_mb = 512;
  std::int32_t disk_size_mb = 5120;
  std::int64_t timeout_sec = 0;  // inactivity until auto-pause; 0: never
  std::string default_user;
  std::map<std::string, std::string> default_env;
  std::map<std::string, std::string> metadata;
  // "" as the agent thinks best: a clone of the template's golden snapshot, a cold boot where there can be none;
  // "cold": a boot in any case.
  std::string boot;
  static constexpr auto kFields = json::fields(
      json::field("sandboxId", &CreateSandboxRequest::sandbox_id, json::kRequired),
      json::field("teamId", &CreateSandboxRequest::team_id),
      json::field("templateId", &CreateSandboxRequest::template_id, json::kRequired),
      json::field("templateTeamId", &CreateSandboxRequest::template_team_id),
      json::field("templateName", &CreateSandboxRequest::template_name),
      json::field("vcpus", &CreateSandboxRequest::vcpus), json::field("memoryMb", &CreateSandboxRequest::memory_mb),
      json::field("diskSizeMb", &CreateSandboxRequest::disk_size_mb),
      json::field("timeoutSec", &CreateSandboxRequest::timeout_sec),
      json::field("defaultUser", &CreateSandboxRequest::default_user),
      json::field("defaultEnv", &CreateSandboxRequest::default_env, json::kOmitEmpty),
      json::field("metadata", &CreateSandboxRequest::metadata, json::kOmitEmpty),
      json::field("boot", &CreateSandboxRequest::boot, json::kOmitEmpty));
};

struct SandboxRequest {  // Destroy, Pause, Ping, Get
  std::string sandbox_id;
  static constexpr auto kFields = json::fields(json::field("sandboxId", &SandboxRequest::sandbox_id, json::kRequired));
};

struct ResumeSandboxRequest {
  std::string sandbox_id;
  std::optional<std::int64_t> timeout_sec;  // absent: as before
  static constexpr auto kFields = json::fields(json::field("sandboxId", &ResumeSandboxRequest::sandbox_id, json::kRequired),
                                               json::field("timeoutSec", &ResumeSandboxRequest::timeout_sec));
};

// With this the reason of a *running* sandbox begins whose machine stands still for want of room on the host's disk.
inline constexpr std::string_view kHostDiskFull = "host_disk_full";

// What the agent knows of a sandbox, running or paused.
struct SandboxInfo {
  std::string sandbox_id;
  SandboxState status = SandboxState::error;
  std::string team_id;
  std::string template_id;
  std::int32_t vcpus = 0;
  std::int32_t memory_mb = 0;
  std::string host_ip;           // address at which the host reaches the guest; empty unless running
  std::int64_t created_at_us = 0;
  std::int64_t last_active_at_us = 0;
  std::int64_t timeout_sec = 0;
  std::string reason;            // why the state is what it is: "ttl_expired", the failure's text
  std::map<std::string, std::string> metadata;  // envd_version, kernel_version, qemu_version, agent_version
  std::string access_token;      // of the sandbox's envd, for those who may talk to it directly
  static constexpr auto kFields = json::fields(
      json::field("sandboxId", &SandboxInfo::sandbox_id), json::field("status", &SandboxInfo::status),
      json::field("teamId", &SandboxInfo::team_id), json::field("templateId", &SandboxInfo::template_id),
      json::field("vcpus", &SandboxInfo::vcpus), json::field("memoryMb", &SandboxInfo::memory_mb),
      json::field("hostIp", &SandboxInfo::host_ip, json::kOmitEmpty),
      json::field("createdAtUs", &SandboxInfo::created_at_us),
      json::field("lastActiveAtUs", &SandboxInfo::last_active_at_us),
      json::field("timeoutSec", &SandboxInfo::timeout_sec), json::field("reason", &SandboxInfo::reason, json::kOmitEmpty),
      json::field("metadata", &SandboxInfo::metadata, json::kOmitEmpty),
      json::field("accessToken", &SandboxInfo::access_token, json::kOmitEmpty));
};

// Children of a live sandbox: each goes on from the same moment, with an identity and token of its own.
// All of them run when the call succeeds, or none exists.
struct ForkChild {
  std::string sandbox_id;
  std::optional<std::int64_t> timeout_sec;  // absent: the parent's
  std::map<std::string, std::string> metadata;
  static constexpr auto kFields = json::fields(json::field("sandboxId", &ForkChild::sandbox_id, json::kRequired),
                                               json::field("timeoutSec", &ForkChild::timeout_sec),
                                               json::field("metadata", &ForkChild::metadata, json::kOmitEmpty));
};
struct ForkSandboxRequest {
  std::string sandbox_id;  // running or paused; stays what it is
  std::vector<ForkChild> children;
  static constexpr auto kFields = json::fields(json::field("sandboxId", &ForkSandboxRequest::sandbox_id, json::kRequired),
                                               json::field("children", &ForkSandboxRequest::children, json::kRequired));
};

// Checkpoints belong to their sandbox and go with it.
struct CheckpointRequest {  // Create, Delete, Rollback
  std::string sandbox_id;
  std::string checkpoint_id;  // chosen by the caller: letters, digits, '-', '_', at most 64
  std::string name;           // for people; Create only
  static constexpr auto kFields =
      json::fields(json::field("sandboxId", &CheckpointRequest::sandbox_id, json::kRequired),
                   json::field("checkpointId", &CheckpointRequest::checkpoint_id, json::kRequired),
                   json::field("name", &CheckpointRequest::name, json::kOmitEmpty));
};
struct CheckpointInfo {
  std::string checkpoint_id;
  std::string name;
  std::int64_t created_at_us = 0;
  std::int64_t size_bytes = 0;  // of its memory; what its disk shares with others is not counted
  static constexpr auto kFields = json::fields(json::field("checkpointId", &CheckpointInfo::checkpoint_id),
                                               json::field("name", &CheckpointInfo::name, json::kOmitEmpty),
                                               json::field("createdAtUs", &CheckpointInfo::created_at_us),
                                               json::field("sizeBytes", &CheckpointInfo::size_bytes));
};
struct ListCheckpointsResponse {
  std::vector<CheckpointInfo> checkpoints;  // oldest first
  static constexpr auto kFields = json::fields(json::field("checkpoints", &ListCheckpointsResponse::checkpoints));
};

// A template out of a running or paused sandbox, which stays what it is.
struct CreateSnapshotRequest {
  std::string sandbox_id;
  std::string template_id;       // 25 base36 digits; one that exists gets a new generation, its users keep the old
  std::string template_team_id;  // digits
  std::string template_name;
  static constexpr auto kFields =
      json::fields(json::field("sandboxId", &CreateSnapshotRequest::sandbox_id, json::kRequired),
                   json::field("templateId", &CreateSnapshotRequest::template_id, json::kRequired),
                   json::field("templateTeamId", &CreateSnapshotRequest::template_team_id, json::kRequired),
                   json::field("templateName", &CreateSnapshotRequest::template_name));
};
// Idempotent. What sandboxes made from it still need stays on the host until they are gone. Images of a base template
// are refused.
struct DeleteTemplateRequest {
  std::string template_id;
  std::string template_team_id;
  static constexpr auto kFields =
      json::fields(json::field("templateId", &DeleteTemplateRequest::template_id, json::kRequired),
                   json::field("templateTeamId", &DeleteTemplateRequest::template_team_id, json::kRequired));
};

struct ListSandboxesResponse {  // also of Fork: the children, in the order of the request
  std::vector<SandboxInfo> sandboxes;
  // How long the agent has been there: what was asked of it earlier, nobody works on any more. 0: it does not say.
  std::int64_t agent_up_ms = 0;
  static constexpr auto kFields =
      json::fields(json::field("sandboxes", &ListSandboxesResponse::sandboxes),
                   json::field("agentUpMs", &ListSandboxesResponse::agent_up_ms, json::kOmitEmpty));
};

// WaitForChanges: answered when a sandbox has become something that nobody asked for (its machine ended, its time was
// over), or when the time is over. What changed, the list says. Revisions count within one run of the agent, its epoch;
// a request that names another epoch, or none, is answered at once.
struct ChangesRequest {
  std::string epoch;
  std::int64_t revision = 0;
  std::int64_t wait_ms = 0;  // at most 5 min
  static constexpr auto kFields =
      json::fields(json::field("epoch", &ChangesRequest::epoch), json::field("revision", &ChangesRequest::revision),
                   json::field("waitMs", &ChangesRequest::wait_ms));
};
struct ChangesResponse {
  std::string epoch;
  std::int64_t revision = 0;
  static constexpr auto kFields = json::fields(json::field("epoch", &ChangesResponse::epoch, json::kRequired),
                                               json::field("revision", &ChangesResponse::revision));
};

// What a host offers: asked by the control plane at start and now and then.
struct TemplateInfo {
  std::string template_id;  // 25 base36 digits
  std::string team_id;      // digits
  std::string name;
  std::string generation;
  std::string default_user;
  std::int64_t size_bytes = 0;  // allocated
  // A snapshot template goes on from the moment of a sandbox, and has its size.
  bool snapshot = false;
  std::int32_t vcpus = 0, memory_mb = 0;  // 0 unless snapshot
  static constexpr auto kFields =
      json::fields(json::field("templateId", &TemplateInfo::template_id), json::field("teamId", &TemplateInfo::team_id),
                   json::field("name", &TemplateInfo::name), json::field("generation", &TemplateInfo::generation),
                   json::field("defaultUser", &TemplateInfo::default_user),
                   json::field("sizeBytes", &TemplateInfo::size_bytes),
                   json::field("snapshot", &TemplateInfo::snapshot),
                   json::field("vcpus", &TemplateInfo::vcpus), json::field("memoryMb", &TemplateInfo::memory_mb));
};
struct HostInfo {
  std::string arch;
  std::int64_t cpu_cores = 0, memory_mb = 0, disk_gb = 0;
  std::string acceleration;  // "kvm" or "tcg"
  std::string vmm_version, kernel_version, agent_version;
  std::vector<TemplateInfo> templates;
  static constexpr auto kFields = json::fields(
      json::field("arch", &HostInfo::arch), json::field("cpuCores", &HostInfo::cpu_cores),
      json::field("memoryMb", &HostInfo::memory_mb), json::field("diskGb", &HostInfo::disk_gb),
      json::field("acceleration", &HostInfo::acceleration), json::field("vmmVersion", &HostInfo::vmm_version),
      json::field("kernelVersion", &HostInfo::kernel_version), json::field("agentVersion", &HostInfo::agent_version),
      json::field("templates", &HostInfo::templates));
};

struct MetricsRequest {
  std::string sandbox_id;
  std::string range = "10m";  // 5m 10m 1h 2h 6h 12h 24h
  static constexpr auto kFields = json::fields(json::field("sandboxId", &MetricsRequest::sandbox_id, json::kRequired),
                                               json::field("range", &MetricsRequest::range));
};
struct HostMetricsRequest {
  std::string range = "10m";  // as of MetricsRequest
  static constexpr auto kFields = json::fields(json::field("range", &HostMetricsRequest::range));
};
struct MetricPoint {
  std::int64_t timestamp_unix = 0;
  double cpu_pct = 0;           // 0–100 over the sandbox's vCPUs; of a host, over all its CPUs
  std::int64_t mem_bytes = 0;   // used inside the guest; of a host, MemTotal − MemAvailable
  std::int64_t disk_bytes = 0;  // allocated by its CoW; of a host, used of the agent's file system
  static constexpr auto kFields =
      json::fields(json::field("timestampUnix", &MetricPoint::timestamp_unix),
                   json::field("cpuPct", &MetricPoint::cpu_pct), json::field("memBytes", &MetricPoint::mem_bytes),
                   json::field("diskBytes", &MetricPoint::disk_bytes));
};
struct MetricsResponse {
  std::vector<MetricPoint> points;
  static constexpr auto kFields = json::fields(json::field("points", &MetricsResponse::points));
};
struct Empty {
  static constexpr auto kFields = json::fields();
};

}  // namespace wrenn::api::agent
