// A snapshot: the state of a machine at one moment, on disk.
//
//   ROOT/ID/manifest.json   written last; a directory without it is not a snapshot
//           device-state    CPUs and devices, as the VMM wrote it
//           pages           by which the memory differs from its base (pages.h); absent when it does not
//           retired.json    was manifest.json: the sandbox has run on since
//
// Neither the memory's base nor the disk is in it: the manifest names files below DIR/layers, which stay as
// long as something names them. There are four kinds, by ROOT and ID:
//
//   DIR/snapshots/SANDBOX              a paused sandbox; its disk is its own and goes on with it
//   DIR/golden/KEY                     a template just booted: what new sandboxes are cloned from
//   DIR/checkpoints/SANDBOX/NAME       to go back to
//   DIR/images/teams/TEAM/TEMPLATE/snapshot   a template made from a sandbox
//
// A new snapshot is written beside the old one and put in place with one rename, so at every moment there is
// one whole snapshot or none, and until then the machine still lives and can run on:
//
//   machine.pause → begin() → machine.save_state(state_file()) → write_pages() → commit() → machine.stop
//
// Resuming never changes the snapshot before the guest runs:
//
//   load() → check() → vmm.restore(base, device_state, restore_pages) → retire() → machine.resume
//
// Functions block; they belong on a thread of the sys pool and throw SystemError (ENOSPC when the disk is
// full) and Error.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/snapshot/manifest.h"
#include "agent/snapshot/pages.h"
#include "linux/fd.h"
#include "linux/temp_dir.h"

namespace wrenn::agent::snapshot {

// Of a snapshot on disk. Its files are open, so what is loaded stays whole when another snapshot takes its
// place.
struct Snapshot {
  Manifest manifest;
  std::string directory;
  std::shared_ptr<const sys::Fd> device_state;
  std::shared_ptr<const sys::Fd> pages;  // null: the memory is the base
};

// A snapshot that is being written. Destroyed without commit() it removes what it wrote.
class Draft {
 public:
  // Throws SystemError.
  static Draft begin(const std::string& root, const std::string& id);

  // For Machine::save_state; stays open.
  sys::FdView state_file() const noexcept { return state_; }
  // The memory of a machine that runs, as PageWriter::copy_ahead(), and of the same machine when it is
  // paused.
  void copy_pages_ahead(const vmm::MachineRecord& machine);
  PagesSummary write_pages(const vmm::MachineRecord& machine);
  // State and pages of another snapshot, by links: neither changes any more.
  void link_from(const Snapshot& other);
  // The pages that write_pages() or link_from() left, for merge_pages(); unset when there are none.
  sys::FdView pages() const noexcept { return pages_; }
  const std::string& pages_checksum() const noexcept { return pages_checksum_; }
  // They are in the manifest's base now.
  void drop_pages();
  // What was written so far as a snapshot that is in no directory: it lives as long as its files are open.
  Snapshot detach(Manifest manifest) const;
  // Fills in the manifest's sizes and checksums, makes all durable, then takes the place of an earlier
  // snapshot, whose files are deleted. On an exception the earlier one is still in place.
  void commit(Manifest manifest, const Secret& key);

 private:
  Draft(std::string root, std::string id, sys::TempDir directory);
  std::string root_;
  std::string id_;
  sys::TempDir directory_;
  sys::Fd state_;
  sys::Fd pages_;
  std::unique_ptr<PageWriter> writer_;
  std::string pages_checksum_;
};

// The device state anew, for reading from its start: several may do so at once.
sys::Fd open_device_state(const Snapshot& snapshot);

// Absent when there is no snapshot (or only a retired one). Throws Error(data_loss) when there is one but
// files are missing or do not match the manifest, or that its seal. (The pages' own checksums are looked at
// when they are read.)
std::optional<Snapshot> load(const std::string& root, const std::string& id, const Secret& key);

// What load() would give, without a look at the files that it names; throws for a manifest that cannot be
// used.
std::optional<Manifest> load_manifest(const std::string& root, const std::string& id, const Secret& key);

// The guest is about to run: from now on this is no snapshot any more, after a crash neither. Durable.
// Idempotent.
void retire(const Snapshot& snapshot);
// Deletes a snapshot, a retired one, and drafts that were cut short. Idempotent.
void remove(const std::string& root, const std::string& id);

// Ids that have a snapshot. Throws SystemError.
std::vector<std::string> list(const std::string& root);
// Names in `root` that are no drafts; empty when there is no such directory. Throws SystemError.
std::vector<std::string> list_directories(const std::string& root);
// Deletes drafts of an earlier run of the agent; at its start, before any begin(). Returns how many.
int sweep_drafts(const std::string& root);

}  // namespace wrenn::agent::snapshot
