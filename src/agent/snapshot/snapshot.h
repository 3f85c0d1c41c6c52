// A snapshot: a paused sandbox's memory and device state on disk. (Its disk stays where it is, see disk/.)
//
//   DIR/snapshots/ID/manifest.json   written last; a directory without it is not a snapshot
//                    memory          sparse, the size of the guest's memory; base of the resumed machine
//                    device-state    CPUs and devices, as the VMM wrote it
//                    retired.json    was manifest.json: the sandbox has run on since, and `memory` only
//                    serves as its base
//
// Pausing writes a new directory beside the old one and puts it in place with one rename, so at every moment
// there is one whole snapshot or none, and until then the machine still lives and can run on:
//
//   machine.pause → begin() → machine.save_state(state_file()) → write_memory() → commit() → machine.stop
//
// Resuming never changes the snapshot before the guest runs:
//
//   load() → check() → vmm.restore(memory, device-state) → retire() → machine.resume
//
// Functions block, write_memory() in proportion to the guest's memory in use; they belong on a thread of the
// sys pool and throw SystemError (ENOSPC when the disk is full) and Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/disk/root_disk.h"
#include "agent/vmm/machine.h"
#include "core/json/fields.h"
#include "linux/fd.h"
#include "linux/temp_dir.h"

namespace wrenn::agent::snapshot {

inline constexpr int kFormat = 1;

struct Manifest {
  int format = kFormat;
  std::string sandbox_id;
  int vcpus = 0;
  int memory_mib = 0;
  std::string kernel_version;  // for information: a resumed guest has its kernel in memory
  std::string vmm_version;
  vmm::Acceleration acceleration = vmm::Acceleration::tcg;
  std::string cpu_model;  // "host" or "max", with the host's CPU for the former
  disk::DiskRecord disk;
  std::int64_t created_at_us = 0;
  // Filled in by commit().
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_allocated_bytes = 0;
  std::uint64_t device_state_bytes = 0;
  std::string device_state_sha256;
  static constexpr auto kFields =
      json::fields(json::field("format", &Manifest::format, json::kRequired),
                   json::field("sandboxId", &Manifest::sandbox_id, json::kRequired),
                   json::field("vcpus", &Manifest::vcpus, json::kRequired),
                   json::field("memoryMib", &Manifest::memory_mib, json::kRequired),
                   json::field("kernelVersion", &Manifest::kernel_version),
                   json::field("vmmVersion", &Manifest::vmm_version, json::kRequired),
                   json::field("acceleration", &Manifest::acceleration, json::kRequired),
                   json::field("cpuModel", &Manifest::cpu_model, json::kRequired),
                   json::field("disk", &Manifest::disk, json::kRequired),
                   json::field("createdAtUs", &Manifest::created_at_us),
                   json::field("memoryBytes", &Manifest::memory_bytes, json::kRequired),
                   json::field("memoryAllocatedBytes", &Manifest::memory_allocated_bytes),
                   json::field("deviceStateBytes", &Manifest::device_state_bytes, json::kRequired),
                   json::field("deviceStateSha256", &Manifest::device_state_sha256, json::kRequired));
};

struct Snapshot {
  Manifest manifest;
  std::string directory;
  std::string memory_path() const { return directory + "/memory"; }
  std::string device_state_path() const { return directory + "/device-state"; }
};

struct MemoryWritten {
  std::uint64_t dirty_bytes = 0;  // pages that the machine has made its own
  std::uint64_t zero_bytes = 0;   // of these, all zero: holes in the file
};

// A snapshot that is being written. Destroyed without commit() it removes what it wrote.
class Draft {
 public:
  // `root` is DIR/snapshots, `id` the sandbox's. Throws SystemError.
  static Draft begin(const std::string& root, const std::string& id);

  // For Machine::save_state; stays open.
  sys::FdView state_file() const noexcept { return state_; }
  // The memory of a paused machine: its base with the pages on top that the machine has made its own. Throws
  // Error(data_loss) when the process is gone or maps another base.
  MemoryWritten write_memory(const vmm::MachineRecord& machine);
  // Makes all durable, then takes the place of an earlier snapshot, whose files are deleted (a machine that
  // maps the old memory is not disturbed). On an exception the earlier one is still in place.
  Snapshot commit(Manifest manifest);

 private:
  Draft(std::string root, std::string id, sys::TempDir directory);
  std::string root_;
  std::string id_;
  sys::TempDir directory_;
  sys::Fd state_;
};

// Absent when there is no snapshot (or only a retired one). Throws Error(data_loss) when there is one but
// files are missing or differ from the manifest in size or hash.
std::optional<Snapshot> load(const std::string& root, const std::string& id);

// What this host offers for a resume.
struct ResumeHost {
  std::string vmm_version;
  vmm::Acceleration acceleration = vmm::Acceleration::tcg;
  std::string cpu_model;
};
// Throws Error(failed_precondition) naming what differs and the remedy, when the manifest does not fit.
void check(const Manifest& manifest, const ResumeHost& host);

// The guest is about to run: from now on this is no snapshot any more, after a crash neither. Durable.
// Idempotent.
void retire(const Snapshot& snapshot);
// Deletes snapshot and retired base; drafts that were cut short too. Idempotent.
void remove(const std::string& root, const std::string& id);

// Sandbox ids that have a snapshot. Throws SystemError.
std::vector<std::string> list(const std::string& root);
// Deletes drafts of an earlier run of the agent; at its start, before any begin(). Returns how many.
int sweep_drafts(const std::string& root);

// A new base for a cold boot: `memory_mib` MiB, one hole. Fails when it exists.
void create_empty_memory(const std::string& path, int memory_mib);

}  // namespace wrenn::agent::snapshot
