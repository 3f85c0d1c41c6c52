// The public REST and WebSocket API (spec/rest-api.md §5–§8): bodies as the control plane writes and its
// clients read them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json/fields.h"

namespace wrenn::api {

struct Capsule {
  std::string id;
  std::string status;         // model::public_name
  std::string template_name;  // as it was asked for
  std::int64_t vcpus = 0, memory_mb = 0;
  std::int64_t timeout_sec = 0;  // inactivity until auto-pause; 0: never
  std::string guest_ip, host_ip;
  std::string created_at, last_updated;  // RFC 3339
  std::optional<std::string> started_at, last_active_at;
  json::Raw metadata;  // object of strings: envd_version, kernel_version, …; reason of a failed capsule
  // Ports are at PORT-ID.DOMAIN; port 49983 is envd, which asks for the token in X-Access-Token. Only where one
  // capsule is asked for, never in lists.
  std::string domain, envd_access_token;
  static constexpr auto kFields = json::fields(
      json::field("id", &Capsule::id), json::field("status", &Capsule::status),
      json::field("template", &Capsule::template_name), json::field("vcpus", &Capsule::vcpus),
      json::field("memory_mb", &Capsule::memory_mb), json::field("timeout_sec", &Capsule::timeout_sec),
      json::field("guest_ip", &Capsule::guest_ip, json::kOmitEmpty),
      json::field("host_ip", &Capsule::host_ip, json::kOmitEmpty),
      json::field("created_at", &Capsule::created_at), json::field("started_at", &Capsule::started_at),
      json::field("last_active_at", &Capsule::last_active_at),
      json::field("last_updated", &Capsule::last_updated),
      json::field("metadata", &Capsule::metadata, json::kOmitEmpty),
      json::field("domain", &Capsule::domain, json::kOmitEmpty),
      json::field("envd_access_token", &Capsule::envd_access_token, json::kOmitEmpty));
};

struct CreateCapsule {
  std::string template_name;     // empty: the default template
  std::int32_t vcpus = 0;        // ≤ 0: the default
  std::int32_t memory_mb = 0;    // ≤ 0: the default
  std::int64_t timeout_sec = 0;  // 0: never
  std::string boot;              // "" and "auto": the quickest way; "cold": a boot in any case
  std::map<std::string, std::string> metadata;
  static constexpr auto kFields = json::fields(json::field("template", &CreateCapsule::template_name),
                                               json::field("vcpus", &CreateCapsule::vcpus),
                                               json::field("memory_mb", &CreateCapsule::memory_mb),
                                               json::field("timeout_sec", &CreateCapsule::timeout_sec),
                                               json::field("boot", &CreateCapsule::boot),
                                               json::field("metadata", &CreateCapsule::metadata));
};

struct ForkCapsule {
  std::int64_t count = 1;
  std::map<std::string, std::string> metadata;  // of the children
  std::optional<std::int64_t> timeout_sec;      // absent: the parent's
  static constexpr auto kFields =
      json::fields(json::field("count", &ForkCapsule::count), json::field("metadata", &ForkCapsule::metadata),
                   json::field("timeout_sec", &ForkCapsule::timeout_sec));
};
struct ForkedCapsules {
  std::vector<Capsule> capsules;
  static constexpr auto kFields = json::fields(json::field("capsules", &ForkedCapsules::capsules));
};

struct CreateCheckpoint {
  std::string name;  // empty: none
  static constexpr auto kFields = json::fields(json::field("name", &CreateCheckpoint::name));
};
struct Checkpoint {
  std::string id, name;
  std::string created_at;  // RFC 3339
  std::int64_t size_bytes = 0;
  static constexpr auto kFields =
      json::fields(json::field("id", &Checkpoint::id), json::field("name", &Checkpoint::name, json::kOmitEmpty),
                   json::field("created_at", &Checkpoint::created_at), json::field("size_bytes", &Checkpoint::size_bytes));
};
struct Checkpoints {
  std::vector<Checkpoint> checkpoints;  // oldest first
  static constexpr auto kFields = json::fields(json::field("checkpoints", &Checkpoints::checkpoints));
};
struct Rollback {
  std::string checkpoint;  // id or name
  static constexpr auto kFields = json::fields(json::field("checkpoint", &Rollback::checkpoint));
};

struct Exec {
  std::string cmd;
  std::vector<std::string> args;
  std::int64_t timeout_sec = 0;  // 0: 30 in the foreground, none in the background
  bool background = false;
  std::string tag;  // of a background process; empty: one is made up
  std::map<std::string, std::string> envs;
  std::string cwd;
  std::string user;  // empty: the template's default user
  static constexpr auto kFields = json::fields(
      json::field("cmd", &Exec::cmd), json::field("args", &Exec::args),
      json::field("timeout_sec", &Exec::timeout_sec), json::field("background", &Exec::background),
      json::field("tag", &Exec::tag), json::field("envs", &Exec::envs), json::field("cwd", &Exec::cwd),
      json::field("user", &Exec::user));
};
struct ExecResult {
  std::string sandbox_id;
  std::string cmd;
  std::string stdout_text, stderr_text;  // base64 both when `encoding` says so
  std::int32_t exit_code = 0;
  std::int64_t duration_ms = 0;
  std::string encoding;  // "utf-8", or "base64" when either stream is not valid UTF-8
  static constexpr auto kFields = json::fields(
      json::field("sandbox_id", &ExecResult::sandbox_id), json::field("cmd", &ExecResult::cmd),
      json::field("stdout", &ExecResult::stdout_text), json::field("stderr", &ExecResult::stderr_text),
      json::field("exit_code", &ExecResult::exit_code), json::field("duration_ms", &ExecResult::duration_ms),
      json::field("encoding", &ExecResult::encoding));
};
struct ExecStarted {  // 202 of a background exec
  std::string sandbox_id;
  std::string cmd;
  std::uint32_t pid = 0;
  std::string tag;
  static constexpr auto kFields =
      json::fields(json::field("sandbox_id", &ExecStarted::sandbox_id), json::field("cmd", &ExecStarted::cmd),
                   json::field("pid", &ExecStarted::pid), json::field("tag", &ExecStarted::tag));
};

struct Process {
  std::uint32_t pid = 0;
  std::optional<std::string> tag;
  std::string cmd;
  std::vector<std::string> args;
  static constexpr auto kFields =
      json::fields(json::field("pid", &Process::pid), json::field("tag", &Process::tag),
                   json::field("cmd", &Process::cmd), json::field("args", &Process::args, json::kOmitEmpty));
};
struct Processes {
  std::vector<Process> processes;
  static constexpr auto kFields = json::fields(json::field("processes", &Processes::processes));
};

struct MetricPoint {
  std::int64_t timestamp_unix = 0;
  double cpu_pct = 0;
  std::int64_t mem_bytes = 0, disk_bytes = 0;
  static constexpr auto kFields = json::fields(json::field("timestamp_unix", &MetricPoint::timestamp_unix),
                                               json::field("cpu_pct", &MetricPoint::cpu_pct),
                                               json::field("mem_bytes", &MetricPoint::mem_bytes),
                                               json::field("disk_bytes", &MetricPoint::disk_bytes));
};
struct CapsuleMetrics {
  std::string sandbox_id;
  std::string range;
  std::vector<MetricPoint> points;
  static constexpr auto kFields = json::fields(json::field("sandbox_id", &CapsuleMetrics::sandbox_id),
                                               json::field("range", &CapsuleMetrics::range),
                                               json::field("points", &CapsuleMetrics::points));
};

// As admins of the platform see hosts, and teams their own.
struct Host {
  std::string id;
  std::string type;                // "regular"; "byoc": a team's own
  std::string team_id, team_name;  // of a byoc host; the name for admins only
  std::string provider, availability_zone, arch;
  std::int64_t cpu_cores = 0, memory_mb = 0, disk_gb = 0;  // absent until its agent has told them
  std::string address;
  std::string status;  // pending online offline unreachable draining
  std::optional<std::string> last_heartbeat_at;
  std::string created_by;  // a user's id; empty for the host that the control plane was started with
  std::string created_at, updated_at;
  static constexpr auto kFields = json::fields(
      json::field("id", &Host::id), json::field("type", &Host::type),
      json::field("team_id", &Host::team_id, json::kOmitEmpty),
      json::field("team_name", &Host::team_name, json::kOmitEmpty),
      json::field("provider", &Host::provider, json::kOmitEmpty),
      json::field("availability_zone", &Host::availability_zone, json::kOmitEmpty),
      json::field("arch", &Host::arch, json::kOmitEmpty),
      json::field("cpu_cores", &Host::cpu_cores, json::kOmitEmpty),
      json::field("memory_mb", &Host::memory_mb, json::kOmitEmpty),
      json::field("disk_gb", &Host::disk_gb, json::kOmitEmpty),
      json::field("address", &Host::address, json::kOmitEmpty), json::field("status", &Host::status),
      json::field("last_heartbeat_at", &Host::last_heartbeat_at), json::field("created_by", &Host::created_by),
      json::field("created_at", &Host::created_at), json::field("updated_at", &Host::updated_at));
};
struct HostMetrics {
  std::string host_id;
  std::string range;
  std::vector<MetricPoint> points;
  static constexpr auto kFields = json::fields(json::field("host_id", &HostMetrics::host_id),
                                               json::field("range", &HostMetrics::range),
                                               json::field("points", &HostMetrics::points));
};

// Of a team.
struct TeamCurrent {
  std::int64_t running_count = 0, vcpus_reserved = 0, memory_mb_reserved = 0;
  static constexpr auto kFields = json::fields(json::field("running_count", &TeamCurrent::running_count),
                                               json::field("vcpus_reserved", &TeamCurrent::vcpus_reserved),
                                               json::field("memory_mb_reserved", &TeamCurrent::memory_mb_reserved));
};
struct TeamPeaks {
  std::int64_t running_count = 0, vcpus = 0, memory_mb = 0;
  static constexpr auto kFields =
      json::fields(json::field("running_count", &TeamPeaks::running_count),
                   json::field("vcpus", &TeamPeaks::vcpus), json::field("memory_mb", &TeamPeaks::memory_mb));
};
struct TeamSeries {
  std::vector<std::string> labels;  // RFC 3339
  std::vector<std::int64_t> running, vcpus, memory_mb;
  static constexpr auto kFields =
      json::fields(json::field("labels", &TeamSeries::labels), json::field("running", &TeamSeries::running),
                   json::field("vcpus", &TeamSeries::vcpus), json::field("memory_mb", &TeamSeries::memory_mb));
};
struct TeamStats {
  std::string range;
  TeamCurrent current;
  TeamPeaks peaks;
  TeamSeries series;
  static constexpr auto kFields =
      json::fields(json::field("range", &TeamStats::range), json::field("current", &TeamStats::current),
                   json::field("peaks", &TeamStats::peaks), json::field("series", &TeamStats::series));
};
struct DayOfUsage {
  std::string date;  // 2026-05-19
  double cpu_minutes = 0, ram_mb_minutes = 0;
  static constexpr auto kFields =
      json::fields(json::field("date", &DayOfUsage::date), json::field("cpu_minutes", &DayOfUsage::cpu_minutes),
                   json::field("ram_mb_minutes", &DayOfUsage::ram_mb_minutes));
};
struct TeamUsage {
  std::string from, to;
  std::vector<DayOfUsage> points;
  static constexpr auto kFields =
      json::fields(json::field("from", &TeamUsage::from), json::field("to", &TeamUsage::to),
                   json::field("points", &TeamUsage::points));
};

struct Path {  // files/read, files/stream/read, files/mkdir, files/remove
  std::string path;
  static constexpr auto kFields = json::fields(json::field("path", &Path::path));
};
struct ListFiles {
  std::string path;
  std::uint32_t depth = 0;  // 0 means 1
  static constexpr auto kFields =
      json::fields(json::field("path", &ListFiles::path), json::field("depth", &ListFiles::depth));
};
struct FileEntry {
  std::string name, path;
  std::string type;  // file | directory | symlink; special files count as file
  std::int64_t size = 0;
  std::uint32_t mode = 0;   // permission bits
  std::string permissions;  // "-rw-r--r--"
  std::string owner, group;
  std::int64_t modified_at = 0;  // Unix seconds
  std::optional<std::string> symlink_target;
  static constexpr auto kFields =
      json::fields(json::field("name", &FileEntry::name), json::field("path", &FileEntry::path),
                   json::field("type", &FileEntry::type), json::field("size", &FileEntry::size),
                   json::field("mode", &FileEntry::mode), json::field("permissions", &FileEntry::permissions),
                   json::field("owner", &FileEntry::owner), json::field("group", &FileEntry::group),
                   json::field("modified_at", &FileEntry::modified_at),
                   json::field("symlink_target", &FileEntry::symlink_target));
};
struct FileEntries {
  std::vector<FileEntry> entries;
  static constexpr auto kFields = json::fields(json::field("entries", &FileEntries::entries));
};
struct MadeDirectory {
  FileEntry entry;
  static constexpr auto kFields = json::fields(json::field("entry", &MadeDirectory::entry));
};

struct Template {
  std::string name;
  std::string type;                       // base | snapshot
  std::int64_t vcpus = 0, memory_mb = 0;  // of a snapshot
  std::int64_t size_bytes = 0;
  std::string created_at;
  bool platform = false;
  json::Raw metadata;
  static constexpr auto kFields = json::fields(
      json::field("name", &Template::name), json::field("type", &Template::type),
      json::field("vcpus", &Template::vcpus, json::kOmitEmpty),
      json::field("memory_mb", &Template::memory_mb, json::kOmitEmpty),
      json::field("size_bytes", &Template::size_bytes), json::field("created_at", &Template::created_at),
      json::field("platform", &Template::platform),
      json::field("metadata", &Template::metadata, json::kOmitEmpty));
};

// As admins of the platform see it: whose it is, and nothing left out.
struct AdminTemplate {
  std::string name;
  std::string type;
  std::int64_t vcpus = 0, memory_mb = 0;  // 0: as the request for a capsule says
  std::int64_t size_bytes = 0;
  std::string team_id;
  std::string created_at;
  static constexpr auto kFields = json::fields(
      json::field("name", &AdminTemplate::name), json::field("type", &AdminTemplate::type),
      json::field("vcpus", &AdminTemplate::vcpus), json::field("memory_mb", &AdminTemplate::memory_mb),
      json::field("size_bytes", &AdminTemplate::size_bytes), json::field("team_id", &AdminTemplate::team_id),
      json::field("created_at", &AdminTemplate::created_at));
};

struct CreateSnapshot {
  std::string sandbox_id;
  std::string name;  // empty: one is made up
  static constexpr auto kFields = json::fields(json::field("sandbox_id", &CreateSnapshot::sandbox_id),
                                               json::field("name", &CreateSnapshot::name));
};

// What clients send on the WebSockets exec/stream and pty; `type` says which of the members count:
//   auth    token                                             when no header could carry the key
//   start   cmd args envs cwd user; exec/stream: stdin encoding tag; pty: cols rows
//   connect tag                                               pty: an earlier session
//   stdin   data (base64)   stdin_close   signal (SIGTERM …)  stop          exec/stream
//   input   data (base64)   resize  cols rows                 kill   pong   pty
struct ClientMessage {
  std::string type;
  std::string token;
  std::string cmd;
  std::vector<std::string> args;
  std::map<std::string, std::string> envs;
  std::string cwd, user, tag;
  std::int64_t cols = 0, rows = 0;
  bool stdin_open = false;
  std::string encoding;  // of output on exec/stream: "" (text) or "base64" (byte by byte exact)
  std::string data;
  std::string signal;
  static constexpr auto kFields = json::fields(
      json::field("type", &ClientMessage::type), json::field("token", &ClientMessage::token),
      json::field("cmd", &ClientMessage::cmd), json::field("args", &ClientMessage::args),
      json::field("envs", &ClientMessage::envs), json::field("cwd", &ClientMessage::cwd),
      json::field("user", &ClientMessage::user), json::field("tag", &ClientMessage::tag),
      json::field("cols", &ClientMessage::cols), json::field("rows", &ClientMessage::rows),
      json::field("stdin", &ClientMessage::stdin_open), json::field("encoding", &ClientMessage::encoding),
      json::field("data", &ClientMessage::data), json::field("signal", &ClientMessage::signal));
};

}  // namespace wrenn::api
