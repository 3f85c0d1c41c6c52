// What the agent does to the host's kernel and disk for a sandbox, behind an interface: the logic above it
// (sandbox/) is tested with mechanisms that fail on demand. The real ones forward to disk/, network/,
// template/ and src/linux.
//
// Functions block and run on threads of the sys pool, several at once for different sandboxes, unless said
// otherwise. All throw SystemError and Error.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/disk/dm_snapshot.h"
#include "agent/disk/root_disk.h"
#include "agent/snapshot/snapshot.h"
#include "agent/template/catalogue.h"
#include "agent/vmm/machine.h"
#include "core/net/address.h"
#include "linux/fd.h"
#include "linux/process.h"

namespace wrenn::agent {

// What a VMM process gets of its network slot.
struct NetworkAttachment {
  sys::Fd tap;    // unset: no network card
  sys::Fd netns;  // unset: ours
};

struct GroupLimits {
  std::int64_t memory_mib = 0;  // of the guest; the VMM's own need is added
  int vcpus = 1;
};

class Mechanisms {
 public:
  virtual ~Mechanisms() = default;

  virtual templates::TemplateImage find_template(const model::TeamId& team, const model::TemplateId& id) = 0;
  virtual templates::Kernel find_kernel(const std::string& wanted) = 0;

  // False when another agent on this machine has the slot, or something that is not ours is in it.
  virtual bool claim_slot(int slot) = 0;
  virtual void create_network(int slot) = 0;
  virtual bool network_is_complete(int slot) = 0;
  virtual NetworkAttachment attach_network(int slot) = 0;
  // Also gives the claim back. Idempotent.
  virtual void destroy_network(int slot) = 0;
  // Where the guest's envd answers, and the user its VMM runs as. Do not block.
  virtual net::Address guest_address(int slot) const = 0;
  virtual std::optional<sys::ProcessIdentity> identity(int slot, vmm::Acceleration acceleration) const = 0;

  // The record of a disk that create_disk() will make: known before, for the journal. Does not block.
  virtual disk::DiskRecord plan_disk(const disk::DiskSpec& spec) const = 0;
  virtual disk::DiskRecord create_disk(const disk::DiskSpec& spec) = 0;
  virtual void open_disk(const disk::DiskRecord& record) = 0;
  virtual void release_disk(const disk::DiskRecord& record) = 0;
  virtual void destroy_disk(const disk::DiskRecord& record) = 0;
  virtual std::uint64_t disk_bytes(const disk::DiskRecord& record) = 0;
  // What the host has room for of what may be written to a disk that is set up; takes it ahead
  // (disk/dm_snapshot.h). Always ample for a kind that cannot lose anything.
  virtual disk::StoreLevel disk_level(const disk::DiskRecord& record) = 0;
  // Freezing a disk: disk/root_disk.h.
  virtual disk::DiskRecord freeze_disk_by_copy(const disk::DiskRecord& record, const std::string& layer) = 0;
  virtual disk::DiskRecord freeze_disk_by_link(const disk::DiskRecord& record, const std::string& layer) = 0;
  virtual void make_overlay(const disk::DiskRecord& record) = 0;
  virtual disk::DiskRecord lay_disk_over(const disk::DiskRecord& frozen, const std::string& sandbox_id,
                                         const std::string& cow_path) = 0;

  // The sandbox's own cgroup, as a descriptor for the VMM's start; absent where there are none. An existing
  // one is used.
  virtual std::optional<sys::Fd> create_group(const std::string& sandbox_id, const GroupLimits& limits) = 0;
  // Kills what is in it. Idempotent.
  virtual void destroy_group(const std::string& sandbox_id) = 0;

  // The machine-wide names of a sandbox (device, cgroup). claim: false when another agent has the id.
  virtual bool claim_sandbox(const std::string& sandbox_id) = 0;
  virtual void unclaim_sandbox(const std::string& sandbox_id) = 0;

  // What a machine's memory starts from: `path` as in a manifest, empty for zeros.
  virtual std::shared_ptr<const snapshot::MemoryBase> load_base(const std::string& path, int memory_mib) = 0;
  // The memory of a paused machine, and back into one that was made from a snapshot and has not run.
  virtual void copy_memory_ahead(snapshot::Draft& draft, const vmm::MachineRecord& machine) = 0;
  virtual void write_memory(snapshot::Draft& draft, const vmm::MachineRecord& machine) = 0;
  virtual void restore_memory(const snapshot::Snapshot& snapshot, const vmm::MachineRecord& machine) = 0;

  // Kills a VMM that cannot be talked to and waits for its end.
  virtual void kill_machine(const vmm::MachineRecord& machine) = 0;
  // Kills processes that serve this sandbox and are in no record: a VMM whose start the journal missed.
  // Returns how many.
  virtual int kill_strays(const std::string& sandbox_id) = 0;

  // What our claims name: left over by an earlier run, or in use now.
  struct Claimed {
    std::vector<int> slots;
    std::vector<std::string> sandbox_ids;
  };
  virtual Claimed claimed() = 0;
};

struct HostMechanismsOptions {
  std::string directory;  // the agent's, absolute
  disk::DiskKind disk_kind = disk::DiskKind::qcow2;
  std::string cgroup;  // parent of the sandboxes' cgroups; empty: none
};
std::unique_ptr<Mechanisms> make_host_mechanisms(HostMechanismsOptions options);

// Makes the cgroup `wrenn` at the root of the v2 hierarchy, outside of the agent's own: the end of the
// agent's service must not take the VMs with it. Empty, with the reason in `problem`, where that is
// impossible. Blocks.
std::string prepare_sandbox_cgroup(std::string& problem);

}  // namespace wrenn::agent
