// The wire between host and guest agent: messages of process.Process and filesystem.Filesystem (Connect, JSON mapping
// of proto3: lowerCamelCase, bytes base64, int64 as string), and of the plain endpoints. Facts: spec/envd.md §5, §7,
// §10 and spec/e2b/envd-api.md §4, §5.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json/fields.h"

namespace wrenn::api::envd {

inline constexpr unsigned short kPort = 49983;
// What SDKs gate features on (spec/e2b/envd-api.md §6).
inline constexpr std::string_view kVersion = "0.6.13";
inline constexpr std::string_view kTokenHeader = "X-Access-Token";
// The machineId of a machine that is nobody's yet: it is written, and makes no clone of the machine.
inline constexpr std::string_view kNobodysMachine = "00000000000000000000000000000000";

struct Empty {
  static constexpr auto kFields = json::fields();
};

struct ProcessConfig {
  std::string cmd;
  std::vector<std::string> args;
  std::map<std::string, std::string> envs;
  std::optional<std::string> cwd;
  static constexpr auto kFields = json::fields(
      json::field("cmd", &ProcessConfig::cmd), json::field("args", &ProcessConfig::args, json::kOmitEmpty),
      json::field("envs", &ProcessConfig::envs, json::kOmitEmpty), json::field("cwd", &ProcessConfig::cwd));
};

struct PtySize {
  std::uint32_t cols = 0;
  std::uint32_t rows = 0;
  static constexpr auto kFields =
      json::fields(json::field("cols", &PtySize::cols), json::field("rows", &PtySize::rows));
};
struct Pty {
  std::optional<PtySize> size;
  static constexpr auto kFields = json::fields(json::field("size", &Pty::size));
};

// Exactly one of pid and tag.
struct ProcessSelector {
  std::optional<std::uint32_t> pid;
  std::optional<std::string> tag;
  static constexpr auto kFields =
      json::fields(json::field("pid", &ProcessSelector::pid), json::field("tag", &ProcessSelector::tag));
};

struct ProcessInput {
  std::optional<json::Bytes> stdin_data;
  std::optional<json::Bytes> pty;
  static constexpr auto kFields =
      json::fields(json::field("stdin", &ProcessInput::stdin_data), json::field("pty", &ProcessInput::pty));
};

struct StartRequest {
  std::optional<ProcessConfig> process;
  std::optional<Pty> pty;
  std::optional<std::string> tag;
  std::optional<bool> stdin_open;  // absent: true
  static constexpr auto kFields = json::fields(
      json::field("process", &StartRequest::process), json::field("pty", &StartRequest::pty),
      json::field("tag", &StartRequest::tag), json::field("stdin", &StartRequest::stdin_open));
};

struct ConnectRequest {
  std::optional<ProcessSelector> process;
  // Ours: how many bytes of output (all channels, from the start of the process) the client has already. What follows
  // them is sent again, or the stream ends with data_loss when it is no longer kept. Absent: output from now on.
  std::optional<json::Int64Text> replay_from;
  static constexpr auto kFields = json::fields(json::field("process", &ConnectRequest::process),
                                               json::field("replayFrom", &ConnectRequest::replay_from));
};

struct StartEvent {
  std::uint32_t pid = 0;
  static constexpr auto kFields = json::fields(json::field("pid", &StartEvent::pid));
};
struct DataEvent {  // exactly one is set
  std::optional<json::Bytes> stdout_data;
  std::optional<json::Bytes> stderr_data;
  std::optional<json::Bytes> pty;
  static constexpr auto kFields =
      json::fields(json::field("stdout", &DataEvent::stdout_data), json::field("stderr", &DataEvent::stderr_data),
                   json::field("pty", &DataEvent::pty));
};
struct EndEvent {
  std::int32_t exit_code = 0;  // -1 when killed by a signal
  bool exited = false;
  std::string status;  // "exit status 1", "signal: killed"
  std::optional<std::string> error;
  static constexpr auto kFields =
      json::fields(json::field("exitCode", &EndEvent::exit_code), json::field("exited", &EndEvent::exited),
                   json::field("status", &EndEvent::status), json::field("error", &EndEvent::error));
};
struct ProcessEvent {  // exactly one is set
  std::optional<StartEvent> start;
  std::optional<DataEvent> data;
  std::optional<EndEvent> end;
  std::optional<Empty> keepalive;
  static constexpr auto kFields =
      json::fields(json::field("start", &ProcessEvent::start), json::field("data", &ProcessEvent::data),
                   json::field("end", &ProcessEvent::end), json::field("keepalive", &ProcessEvent::keepalive));
};
struct ProcessEventMessage {  // StartResponse and ConnectResponse
  ProcessEvent event;
  static constexpr auto kFields = json::fields(json::field("event", &ProcessEventMessage::event));
};

struct ProcessInfo {
  ProcessConfig config;
  std::uint32_t pid = 0;
  std::optional<std::string> tag;
  static constexpr auto kFields =
      json::fields(json::field("config", &ProcessInfo::config), json::field("pid", &ProcessInfo::pid),
                   json::field("tag", &ProcessInfo::tag));
};
struct ListResponse {
  std::vector<ProcessInfo> processes;
  static constexpr auto kFields = json::fields(json::field("processes", &ListResponse::processes));
};

struct UpdateRequest {
  std::optional<ProcessSelector> process;
  std::optional<Pty> pty;
  static constexpr auto kFields =
      json::fields(json::field("process", &UpdateRequest::process), json::field("pty", &UpdateRequest::pty));
};
struct SendInputRequest {
  std::optional<ProcessSelector> process;
  std::optional<ProcessInput> input;
  static constexpr auto kFields =
      json::fields(json::field("process", &SendInputRequest::process), json::field("input", &SendInputRequest::input));
};
struct SendSignalRequest {
  std::optional<ProcessSelector> process;
  json::Value signal;  // "SIGNAL_SIGTERM" or 15, "SIGNAL_SIGKILL" or 9
  static constexpr auto kFields = json::fields(json::field("process", &SendSignalRequest::process),
                                               json::field("signal", &SendSignalRequest::signal));
};
struct CloseStdinRequest {
  std::optional<ProcessSelector> process;
  static constexpr auto kFields = json::fields(json::field("process", &CloseStdinRequest::process));
};

// One message of the client stream StreamInput: exactly one is set.
struct StreamInputStart {
  std::optional<ProcessSelector> process;
  static constexpr auto kFields = json::fields(json::field("process", &StreamInputStart::process));
};
struct StreamInputData {
  std::optional<ProcessInput> input;
  static constexpr auto kFields = json::fields(json::field("input", &StreamInputData::input));
};
struct StreamInputMessage {
  std::optional<StreamInputStart> start;
  std::optional<StreamInputData> data;
  std::optional<Empty> keepalive;
  static constexpr auto kFields =
      json::fields(json::field("start", &StreamInputMessage::start), json::field("data", &StreamInputMessage::data),
                   json::field("keepalive", &StreamInputMessage::keepalive));
};

struct EntryInfo {
  std::string name;
  std::string type;  // FILE_TYPE_FILE, FILE_TYPE_DIRECTORY, FILE_TYPE_SYMLINK, FILE_TYPE_UNSPECIFIED
  std::string path;
  json::Int64Text size;     // bytes
  std::uint32_t mode = 0;   // permission bits
  std::string permissions;  // "-rw-r--r--"
  std::string owner;
  std::string group;
  std::optional<std::string> modified_time;  // RFC 3339
  std::optional<std::string> symlink_target;
  std::map<std::string, std::string> metadata;
  static constexpr auto kFields = json::fields(
      json::field("name", &EntryInfo::name), json::field("type", &EntryInfo::type),
      json::field("path", &EntryInfo::path), json::field("size", &EntryInfo::size),
      json::field("mode", &EntryInfo::mode), json::field("permissions", &EntryInfo::permissions),
      json::field("owner", &EntryInfo::owner), json::field("group", &EntryInfo::group),
      json::field("modifiedTime", &EntryInfo::modified_time),
      json::field("symlinkTarget", &EntryInfo::symlink_target),
      json::field("metadata", &EntryInfo::metadata, json::kOmitEmpty));
};
struct PathRequest {  // Stat, MakeDir, Remove
  std::string path;
  static constexpr auto kFields = json::fields(json::field("path", &PathRequest::path));
};
struct EntryResponse {  // Stat, MakeDir, Move
  EntryInfo entry;
  static constexpr auto kFields = json::fields(json::field("entry", &EntryResponse::entry));
};
struct MoveRequest {
  std::string source;
  std::string destination;
  static constexpr auto kFields =
      json::fields(json::field("source", &MoveRequest::source), json::field("destination", &MoveRequest::destination));
};
struct ListDirRequest {
  std::string path;
  std::uint32_t depth = 0;  // 0 means 1
  static constexpr auto kFields =
      json::fields(json::field("path", &ListDirRequest::path), json::field("depth", &ListDirRequest::depth));
};
struct ListDirResponse {
  std::vector<EntryInfo> entries;
  static constexpr auto kFields = json::fields(json::field("entries", &ListDirResponse::entries));
};

// Of WatchDir and CreateWatcher.
struct WatchRequest {
  std::string path;
  bool recursive = false;
  bool include_entry = false;
  bool allow_network_mounts = false;
  static constexpr auto kFields = json::fields(
      json::field("path", &WatchRequest::path), json::field("recursive", &WatchRequest::recursive),
      json::field("includeEntry", &WatchRequest::include_entry),
      json::field("allowNetworkMounts", &WatchRequest::allow_network_mounts));
};
struct FilesystemEvent {
  std::string name;  // relative to the watched directory, which is itself "."
  std::string type;  // EVENT_TYPE_CREATE, _WRITE, _REMOVE, _RENAME (away from this name), _CHMOD
  std::optional<EntryInfo> entry;
  static constexpr auto kFields =
      json::fields(json::field("name", &FilesystemEvent::name), json::field("type", &FilesystemEvent::type),
                   json::field("entry", &FilesystemEvent::entry));
};
struct WatcherMessage {  // CreateWatcherResponse, GetWatcherEventsRequest, RemoveWatcherRequest
  std::string watcher_id;
  static constexpr auto kFields = json::fields(json::field("watcherId", &WatcherMessage::watcher_id));
};

struct UploadedFile {  // of POST /files and POST /files/compose
  std::string path;
  std::string name;
  std::string type = "file";
  std::map<std::string, std::string> metadata;
  static constexpr auto kFields = json::fields(
      json::field("path", &UploadedFile::path), json::field("name", &UploadedFile::name),
      json::field("type", &UploadedFile::type), json::field("metadata", &UploadedFile::metadata, json::kOmitEmpty));
};

// POST /files/compose.
struct ComposeRequest {
  std::vector<std::string> source_paths;
  std::string destination;
  std::optional<std::string> username;
  static constexpr auto kFields =
      json::fields(json::field("source_paths", &ComposeRequest::source_paths),
                   json::field("destination", &ComposeRequest::destination, json::kRequired),
                   json::field("username", &ComposeRequest::username));
};

// POST /init. All fields optional; `sandboxId` and `templateId` are ours (a VMM without metadata service).
struct InitRequest {
  std::optional<std::string> access_token;  // "" clears it
  std::optional<std::string> default_user;
  std::optional<std::string> default_workdir;
  std::map<std::string, std::string> env_vars;
  std::optional<std::string> timestamp;  // RFC 3339 of the host's clock; the guest's is set to it
  std::optional<std::string> sandbox_id;
  std::optional<std::string> template_id;
  std::optional<std::string> hostname;
  // Where the guest sends its events: an IPv4 address of the host (one field, the two spellings of the field's users).
  std::optional<std::string> hyperloop_ip;
  std::optional<std::string> hyperloop_ip_e2b;
  std::optional<std::string> machine_id;  // ours: 32 hex digits for /etc/machine-id, of the sandbox
  std::optional<json::Bytes> entropy;     // fresh random bytes of the host: clones of one snapshot must not share theirs
  static constexpr auto kFields = json::fields(
      json::field("accessToken", &InitRequest::access_token), json::field("defaultUser", &InitRequest::default_user),
      json::field("defaultWorkdir", &InitRequest::default_workdir),
      json::field("envVars", &InitRequest::env_vars, json::kOmitEmpty),
      json::field("timestamp", &InitRequest::timestamp), json::field("sandboxId", &InitRequest::sandbox_id),
      json::field("templateId", &InitRequest::template_id), json::field("hostname", &InitRequest::hostname),
      json::field("hyperloopIp", &InitRequest::hyperloop_ip), json::field("hyperloopIP", &InitRequest::hyperloop_ip_e2b),
      json::field("machineId", &InitRequest::machine_id), json::field("entropy", &InitRequest::entropy));
};

struct Metrics {
  std::int64_t ts = 0;  // Unix seconds
  std::int64_t cpu_count = 0;
  double cpu_used_pct = 0;  // 0–100 over all CPUs
  std::int64_t mem_total_mib = 0, mem_used_mib = 0;
  std::int64_t mem_total = 0, mem_used = 0, mem_cache = 0;  // bytes
  std::int64_t disk_used = 0, disk_total = 0;               // bytes
  static constexpr auto kFields = json::fields(
      json::field("ts", &Metrics::ts), json::field("cpu_count", &Metrics::cpu_count),
      json::field("cpu_used_pct", &Metrics::cpu_used_pct), json::field("mem_total_mib", &Metrics::mem_total_mib),
      json::field("mem_used_mib", &Metrics::mem_used_mib), json::field("mem_total", &Metrics::mem_total),
      json::field("mem_used", &Metrics::mem_used), json::field("mem_cache", &Metrics::mem_cache),
      json::field("disk_used", &Metrics::disk_used), json::field("disk_total", &Metrics::disk_total));
};

}  // namespace wrenn::api::envd
