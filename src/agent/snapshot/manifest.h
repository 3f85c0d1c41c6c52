// What a snapshot is of, and which host may go on from it: manifest.json.
//
// Sealed: its member "seal" is an HMAC over all the others with the host's key (DIR/snapshot.key, made at the
// first start of the agent). The manifest holds checksums of everything else in the snapshot, so a bit that
// was flipped in any of it, or a file that was exchanged for that of another snapshot, is noticed before a
// guest runs.
#pragma once

#include <cstdint>
#include <string>

#include "agent/disk/root_disk.h"
#include "agent/vmm/machine.h"
#include "core/base/secret.h"
#include "core/json/fields.h"

namespace wrenn::agent::snapshot {

struct Manifest {
  static constexpr int kFormat = 2;
  int format = kFormat;
  std::string sandbox_id;  // it was taken from
  std::string name;        // for people; of checkpoints
  int vcpus = 0;
  int memory_mib = 0;
  std::string kernel_version;  // for information: a resumed guest has its kernel in memory
  std::string vmm_version;
  vmm::Acceleration acceleration = vmm::Acceleration::tcg;
  std::string cpu_model;  // "host" or "max", with the host's CPU for the former
  std::string envd_version;
  std::string default_user;
  // The token that the guest's envd has: whoever goes on from here must know it to give it another one.
  std::string access_token;
  // Of a snapshot that goes with its sandbox: the sandbox's disk. Else what a new disk lies over: cow_path is
  // empty.
  disk::DiskRecord disk;
  std::int64_t created_at_us = 0;

  // Absolute path below DIR/layers; empty: zeros.
  std::string memory_base;
  // Filled in by Draft.
  std::uint64_t pages_bytes = 0;  // by which the memory differs from the base; 0: there is no file
  std::string pages_checksum;
  std::uint64_t device_state_bytes = 0;
  std::string device_state_checksum;
  std::string seal;
  static constexpr auto kFields = json::fields(
      json::field("format", &Manifest::format, json::kRequired),
      json::field("sandboxId", &Manifest::sandbox_id, json::kRequired), json::field("name", &Manifest::name),
      json::field("vcpus", &Manifest::vcpus, json::kRequired),
      json::field("memoryMib", &Manifest::memory_mib, json::kRequired),
      json::field("kernelVersion", &Manifest::kernel_version),
      json::field("vmmVersion", &Manifest::vmm_version, json::kRequired),
      json::field("acceleration", &Manifest::acceleration, json::kRequired),
      json::field("cpuModel", &Manifest::cpu_model, json::kRequired),
      json::field("envdVersion", &Manifest::envd_version),
      json::field("defaultUser", &Manifest::default_user),
      json::field("accessToken", &Manifest::access_token),
      json::field("disk", &Manifest::disk, json::kRequired),
      json::field("createdAtUs", &Manifest::created_at_us), json::field("memoryBase", &Manifest::memory_base),
      json::field("pagesBytes", &Manifest::pages_bytes),
      json::field("pagesChecksum", &Manifest::pages_checksum),
      json::field("deviceStateBytes", &Manifest::device_state_bytes, json::kRequired),
      json::field("deviceStateChecksum", &Manifest::device_state_checksum, json::kRequired),
      json::field("seal", &Manifest::seal));
};

// Text of manifest.json, sealed. Throws Error(internal).
std::string seal_manifest(Manifest manifest, const Secret& key);
// Throws Error(data_loss) for a text that is none or whose seal is wrong, Error(failed_precondition) for
// another format.
Manifest parse_manifest(const std::string& text, const Secret& key, const std::string& what);

// The host's key; made when there is none. Blocks. Throws SystemError, Error.
Secret load_seal_key(const std::string& path);

// What this host offers for going on from a snapshot.
struct ResumeHost {
  std::string vmm_version;
  vmm::Acceleration acceleration = vmm::Acceleration::tcg;
  std::string cpu_model;
};
// Throws Error(failed_precondition) naming what differs and the remedy, when the manifest does not fit.
void check(const Manifest& manifest, const ResumeHost& host);

}  // namespace wrenn::agent::snapshot
