// The journal: one JSON record per sandbox, DIR/sandboxes/ID/sandbox.json, written before anything of the
// sandbox is made and after every step that would be lost with our memory. Whatever exists on this host can
// be found from its record, so after a crash of the agent every sandbox is either taken over or removed
// without a trace.
//
// The record holds the guest's access token: mode 0600.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/disk/root_disk.h"
#include "agent/vmm/machine.h"
#include "core/json/fields.h"
#include "model/sandbox_state.h"

namespace wrenn::agent {

struct Record {
  static constexpr int kFormat = 1;
  int format = kFormat;
  std::string sandbox_id;  // text of a model::SandboxId
  // What its directory, cgroup, device and VMM are called; empty: as itself. A sandbox that was made of a
  // spare machine (sandbox/spares.h) keeps the spare's names, which are ids that nobody else has.
  std::string place;
  model::SandboxState state = model::SandboxState::starting;
  std::string reason;  // why it is so: "ttl_expired", the text of a failure
  std::int64_t created_at_us = 0;

  // What was asked for.
  std::string team_id;
  std::string template_id;
  std::string template_team_id;
  std::int32_t vcpus = 1;
  std::int32_t memory_mb = 512;
  std::int32_t disk_size_mb = 5120;
  std::int64_t timeout_sec = 0;
  std::string default_user;
  std::map<std::string, std::string> default_env;
  std::map<std::string, std::string> metadata;
  std::string boot;  // "cold", or empty

  // What it was made of.
  std::string image;  // absolute path of the template's generation
  std::string kernel_version;
  std::string envd_version;  // as the guest states it
  std::string access_token;
  // What the guest's envd takes for its token until it has been told the above: that of the machine it was
  // cloned from.
  std::string previous_token;
  bool introduced = false;  // it has been told who it is, once

  // What exists of it on this host now (or is about to).
  std::optional<std::int32_t> slot;
  std::optional<disk::DiskRecord> disk;
  std::optional<disk::DiskRecord> disk_before;  // while a running machine's disk is switched: as it was
  std::optional<vmm::MachineRecord> machine;

  const std::string& place_name() const noexcept { return place.empty() ? sandbox_id : place; }
  static constexpr auto kFields = json::fields(
      json::field("format", &Record::format, json::kRequired),
      json::field("sandboxId", &Record::sandbox_id, json::kRequired),
      json::field("place", &Record::place, json::kOmitEmpty),
      json::field("state", &Record::state, json::kRequired), json::field("reason", &Record::reason),
      json::field("createdAtUs", &Record::created_at_us), json::field("teamId", &Record::team_id),
      json::field("templateId", &Record::template_id),
      json::field("templateTeamId", &Record::template_team_id), json::field("vcpus", &Record::vcpus),
      json::field("memoryMb", &Record::memory_mb), json::field("diskSizeMb", &Record::disk_size_mb),
      json::field("timeoutSec", &Record::timeout_sec), json::field("defaultUser", &Record::default_user),
      json::field("defaultEnv", &Record::default_env), json::field("metadata", &Record::metadata),
      json::field("boot", &Record::boot, json::kOmitEmpty),
      json::field("previousToken", &Record::previous_token, json::kOmitEmpty),
      json::field("introduced", &Record::introduced), json::field("image", &Record::image),
      json::field("kernelVersion", &Record::kernel_version),
      json::field("envdVersion", &Record::envd_version), json::field("accessToken", &Record::access_token),
      json::field("slot", &Record::slot), json::field("disk", &Record::disk),
      json::field("diskBefore", &Record::disk_before), json::field("machine", &Record::machine));
};

// What stands in the directory of one sandbox.
struct JournalEntry {
  std::string place;             // the directory's name, a valid id
  std::optional<Record> record;  // absent when there is none, or none that can be read
  std::string damage;            // why not; empty when the directory holds no record at all
};

// All functions block; they belong on a thread of the sys pool and may run on several at once for different
// sandboxes.
class Journal {
 public:
  // `directory` is DIR/sandboxes; it must exist.
  explicit Journal(std::string directory) : directory_(std::move(directory)) {}

  // Of Record::place_name().
  std::string sandbox_directory(const std::string& place) const { return directory_ + "/" + place; }
  // Durable when it returns; after a crash the old or the new record is there, whole. Throws SystemError.
  void save(const Record& record) const;
  // Removes the sandbox's directory with everything in it, the record last. Idempotent. Throws SystemError.
  void remove(const std::string& place) const;
  // Directories whose name is no sandbox id are left alone. Throws SystemError when the directory cannot be
  // read.
  std::vector<JournalEntry> load() const;

 private:
  std::string directory_;
};

}  // namespace wrenn::agent
