#include "cp/handlers/views.h"

#include "core/json/reader.h"
#include "cp/service/settle.h"

namespace wrenn::cp::handlers {

static void fill(std::optional<std::string>& target, const std::optional<UnixTime>& time) {
  if (time) {
    target = to_rfc3339(*time);
  } else {
    target.reset();
  }
}

// {"kernel_version":"…"} and {"reason":"…"} → one object.
static void add_reason(std::string& metadata, std::string_view reason) {
  const bool empty = metadata.empty() || metadata == "{}";
  metadata = empty ? "{" : metadata.substr(0, metadata.size() - 1) + ",";
  json::append_string(metadata, "reason");
  metadata += ':';
  json::append_string(metadata, reason);
  metadata += '}';
}

void fill(api::Capsule& view, const store::Sandbox& row) {
  view.id = row.id.text();
  view.status = public_name(row.status);
  view.template_name = row.template_name;
  view.vcpus = row.vcpus;
  view.memory_mb = row.memory_mb;
  view.timeout_sec = row.timeout_sec;
  view.guest_ip = row.guest_ip;
  view.host_ip = row.host_ip;
  view.created_at = to_rfc3339(row.created_at);
  view.last_updated = to_rfc3339(row.last_updated);
  fill(view.started_at, row.started_at);
  fill(view.last_active_at, row.last_active_at);
  view.metadata.text = row.metadata;
  // The envelope of clients is fixed; metadata is where they find why a capsule is not what they want it to
  // be.
  const bool as_wanted =
      row.status == model::SandboxState::running && !service::stands_still(row.status_reason);
  if (!row.status_reason.empty() && !as_wanted) add_reason(view.metadata.text, row.status_reason);
}

api::Capsule capsule_view(const store::Sandbox& row) {
  api::Capsule view;
  fill(view, row);
  return view;
}

api::Capsule detailed_view(const store::Sandbox& row, const std::string& domain) {
  auto view = capsule_view(row);
  view.domain = domain;
  if (row.status != model::SandboxState::stopped) view.envd_access_token = row.access_token;
  return view;
}

api::Checkpoint checkpoint_view(const api::agent::CheckpointInfo& told) {
  api::Checkpoint view;
  view.id = told.checkpoint_id;
  view.name = told.name;
  view.created_at = to_rfc3339(UnixTime{told.created_at_us});
  view.size_bytes = told.size_bytes;
  return view;
}

api::Template template_view(const store::Template& row) {
  api::Template view;
  view.name = row.name;
  view.type = row.type;
  view.vcpus = row.vcpus;
  view.memory_mb = row.memory_mb;
  view.size_bytes = row.size_bytes;
  view.created_at = to_rfc3339(row.created_at);
  view.platform = row.team == model::kPlatformTeam;
  view.metadata.text = row.metadata;
  return view;
}

api::AdminTemplate admin_template_view(const store::Template& row) {
  return {row.name,
          row.type,
          row.vcpus,
          row.memory_mb,
          row.size_bytes,
          row.team.text(),
          to_rfc3339(row.created_at)};
}

api::FileEntry file_view(const api::envd::EntryInfo& entry) {
  api::FileEntry view;
  view.name = entry.name;
  view.path = entry.path;
  // The SDKs' enum has three values: sockets, pipes and devices are files, and their permissions tell them
  // apart.
  view.type = entry.type == "FILE_TYPE_DIRECTORY" ? "directory"
              : entry.type == "FILE_TYPE_SYMLINK" ? "symlink"
                                                  : "file";
  view.size = entry.size.value;
  view.mode = entry.mode;
  view.permissions = entry.permissions;
  view.owner = entry.owner;
  view.group = entry.group;
  const auto modified = entry.modified_time ? parse_rfc3339(*entry.modified_time) : std::nullopt;
  view.modified_at = modified ? modified->seconds() : 0;
  view.symlink_target = entry.symlink_target;
  return view;
}

api::Process process_view(const api::envd::ProcessInfo& process) {
  api::Process view;
  view.pid = process.pid;
  view.tag = process.tag;
  view.cmd = process.config.cmd;
  view.args = process.config.args;
  return view;
}

static std::vector<api::MetricPoint> point_views(const api::agent::MetricsResponse& told) {
  std::vector<api::MetricPoint> views;
  views.reserve(told.points.size());
  for (const auto& point : told.points)
    views.push_back({point.timestamp_unix, point.cpu_pct, point.mem_bytes, point.disk_bytes});
  return views;
}

api::CapsuleMetrics metrics_view(std::string sandbox_id, std::string range,
                                 const api::agent::MetricsResponse& told) {
  api::CapsuleMetrics view;
  view.sandbox_id = std::move(sandbox_id);
  view.range = std::move(range);
  view.points = point_views(told);
  return view;
}

api::Host host_view(const store::ListedHost& listed, bool for_admin) {
  const auto& row = listed.host;
  api::Host view;
  view.id = row.id.text();
  view.type = row.type;
  if (row.team) view.team_id = row.team->text();
  if (for_admin) view.team_name = listed.team_name;
  view.provider = row.provider;
  view.availability_zone = row.availability_zone;
  view.arch = row.arch;
  view.cpu_cores = row.cpu_cores;
  view.memory_mb = row.memory_mb;
  view.disk_gb = row.disk_gb;
  view.address = row.address;
  view.status = row.status;
  fill(view.last_heartbeat_at, row.last_heartbeat_at);
  view.created_by = row.created_by;
  view.created_at = to_rfc3339(row.created_at);
  view.updated_at = to_rfc3339(row.updated_at);
  return view;
}

api::HostMetrics host_metrics_view(std::string host_id, std::string range,
                                   const api::agent::MetricsResponse& told) {
  return {std::move(host_id), std::move(range), point_views(told)};
}

}  // namespace wrenn::cp::handlers
