#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>

#include "agent/claims.h"
#include "agent/limits.h"
#include "agent/mechanisms.h"
#include "agent/network/slot.h"
#include "agent/vmm/identity.h"
#include "api/envd.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/cgroup.h"
#include "linux/file.h"
#include "linux/kernel_limits.h"
#include "linux/netns.h"
#include "linux/procfs.h"

namespace wrenn::agent {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSlotPrefix = "slot-";
constexpr std::string_view kSandboxPrefix = "sandbox-";
constexpr auto kGroupRemoveTimeout = 10s;  // the kernel frees the guest's memory before the group is empty

// What a VMM needs beside the guest's memory: QEMU's heap and stacks, TCG's translated code
// (vmm::QemuOptions), page tables of the guest's mapping. Page cache is reclaimed before this limit kills
// anything.
constexpr std::int64_t kVmmOverheadMib = 320;
// Threads: vCPUs, I/O workers (at most 64 in QEMU), a handful of its own.
constexpr std::uint64_t kVmmThreads = 256;

std::string slot_claim(int slot) {
  return fmt::format("{}{}", kSlotPrefix, slot);
}
std::string sandbox_claim(const std::string& id) {
  return fmt::format("{}{}", kSandboxPrefix, id);
}

class HostMechanisms final : public Mechanisms {
 public:
  explicit HostMechanisms(HostMechanismsOptions options)
      : options_(std::move(options)), claims_(options_.directory) {}

  templates::TemplateImage find_template(const model::TeamId& team, const model::TemplateId& id) override {
    return templates::find_template(options_.directory, team, id);
  }
  templates::Kernel find_kernel(const std::string& wanted) override {
    return templates::find_kernel(options_.directory, wanted);
  }

  bool claim_slot(int slot) override {
    const Claims::Taken taken = claims_.take(slot_claim(slot));
    if (taken == Claims::Taken::foreign) return false;
    if (!sys::exists(sys::netns_path(network::plan_slot(slot).netns))) return true;
    // A namespace without a claim belongs to somebody who does not claim (a test of network/): leave it
    // alone. One that is ours could not be removed: the claim stays, for the next start of the agent.
    if (taken == Claims::Taken::now) claims_.give_back(slot_claim(slot));
    return false;
  }
  void create_network(int slot) override { network::create_slot(slot); }
  bool network_is_complete(int slot) override { return network::slot_is_complete(slot); }
  NetworkAttachment attach_network(int slot) override {
    NetworkAttachment attachment;
    attachment.tap = network::open_slot_tap(slot);
    attachment.netns = network::open_slot_netns(slot);
    return attachment;
  }
  void destroy_network(int slot) override {
    network::destroy_slot(slot);
    claims_.give_back(slot_claim(slot));
  }
  net::Address guest_address(int slot) const override {
    return net::Address::tcp(sys::to_string(network::plan_slot(slot).host_reachable), api::envd::kPort);
  }
  std::optional<sys::ProcessIdentity> identity(int slot, vmm::Acceleration acceleration) const override {
    return vmm::machine_identity(slot, acceleration);
  }

  disk::DiskRecord plan_disk(const disk::DiskSpec& spec) const override {
    return {.kind = options_.disk_kind,
            .sandbox_id = spec.sandbox_id,
            .image = spec.image,
            .layers = options_.disk_kind == disk::DiskKind::qcow2 ? spec.layers : std::vector<std::string>(),
            .cow_path = spec.cow_path,
            .image_bytes = 0,
            .size_bytes = spec.size_bytes};
  }
  // A full disk would otherwise show as an I/O error somewhere inside the guest.
  void require_free_space() const {
    struct statvfs info{};
    if (::statvfs(options_.directory.c_str(), &info) != 0)
      throw_errno("ask for free space at {}", options_.directory);
    const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    if (free >= limits::kDiskReserveBytes) return;
    throw_error(
        ErrorCode::resource_exhausted,
        "only {} MiB are free at {}, and {} MiB are kept for the sandboxes there: remove some, or free space",
        free >> 20, options_.directory, limits::kDiskReserveBytes >> 20);
  }

  disk::DiskRecord create_disk(const disk::DiskSpec& spec) override {
    require_free_space();
    const disk::DiskRecord record = disk::create_disk(options_.disk_kind, spec);
    try {
      require_room(record);
    } catch (const Error&) {
      disk::destroy_disk(record);
      throw;
    }
    return record;
  }
  void open_disk(const disk::DiskRecord& record) override {
    disk::open_disk(record);
    require_room(record);
  }
  disk::StoreLevel disk_level(const disk::DiskRecord& record) override {
    return record.kind == disk::DiskKind::dm_snapshot ? disk::reserve_dm_store(record) : disk::StoreLevel{};
  }
  // A machine on such a disk would be stopped at once.
  void require_room(const disk::DiskRecord& record) {
    if (disk_level(record).room == disk::StoreRoom::none)
      throw_error(ErrorCode::resource_exhausted, "the host's disk is full, at {}: free space",
                  options_.directory);
  }
  void release_disk(const disk::DiskRecord& record) override { disk::release_disk(record); }
  void destroy_disk(const disk::DiskRecord& record) override { disk::destroy_disk(record); }
  std::uint64_t disk_bytes(const disk::DiskRecord& record) override { return disk::allocated_bytes(record); }

  std::optional<sys::Fd> create_group(const std::string& sandbox_id, const GroupLimits& limits) override {
    if (options_.cgroup.empty()) return std::nullopt;
    auto group = sys::CgroupDir::adopt(options_.cgroup + "/" + sandbox_id);
    if (!group) group = sys::CgroupDir::create(options_.cgroup, sandbox_id);
    group->set_memory_max(static_cast<std::uint64_t>(limits.memory_mib + kVmmOverheadMib) << 20);
    // Half a CPU more than the guest has, for the VMM's own threads.
    group->set_cpu_max(static_cast<std::uint64_t>(limits.vcpus) * 100'000 + 50'000);
    group->set_pids_max(kVmmThreads);
    return sys::open_directory(group->release());
  }
  void destroy_group(const std::string& sandbox_id) override {
    if (options_.cgroup.empty()) return;
    auto group = sys::CgroupDir::adopt(options_.cgroup + "/" + sandbox_id);
    if (!group) return;
    try {
      group->remove(kGroupRemoveTimeout);
    } catch (...) {
      group->release();  // the destructor would try again, and wait again
      throw;
    }
  }

  bool claim_sandbox(const std::string& sandbox_id) override {
    return claims_.take(sandbox_claim(sandbox_id)) != Claims::Taken::foreign;
  }
  void unclaim_sandbox(const std::string& sandbox_id) override {
    if (claims_.take(sandbox_claim(sandbox_id)) == Claims::Taken::foreign) return;
    disk::remove_leftover_device(sandbox_id);
    claims_.give_back(sandbox_claim(sandbox_id));
  }

  disk::DiskRecord freeze_disk_by_copy(const disk::DiskRecord& record, const std::string& layer) override {
    return disk::freeze_by_copy(record, layer);
  }
  disk::DiskRecord freeze_disk_by_link(const disk::DiskRecord& record, const std::string& layer) override {
    return disk::freeze_by_link(record, layer);
  }
  void make_overlay(const disk::DiskRecord& record) override { disk::make_overlay(record); }
  disk::DiskRecord lay_disk_over(const disk::DiskRecord& frozen, const std::string& sandbox_id,
                                 const std::string& cow_path) override {
    return disk::lay_over(frozen, sandbox_id, cow_path);
  }

  std::shared_ptr<const snapshot::MemoryBase> load_base(const std::string& path, int memory_mib) override {
    return path.empty() ? snapshot::MemoryBase::zeros(memory_mib)
                        : snapshot::MemoryBase::load(path, memory_mib);
  }
  void restore_memory(const snapshot::Snapshot& snapshot, const vmm::MachineRecord& machine) override {
    if (snapshot.pages) snapshot::restore_pages(*snapshot.pages, snapshot.manifest.pages_checksum, machine);
  }
  void copy_memory_ahead(snapshot::Draft& draft, const vmm::MachineRecord& machine) override {
    draft.copy_pages_ahead(machine);
  }
  void write_memory(snapshot::Draft& draft, const vmm::MachineRecord& machine) override {
    const auto written = draft.write_pages(machine);
    log::debug("wrote the memory of a sandbox",
               {{"dirty_mib", written.dirty_bytes >> 20}, {"of_these_zero_mib", written.zero_bytes >> 20}});
  }
  void kill_machine(const vmm::MachineRecord& machine) override { vmm::kill_machine(machine); }
  int kill_strays(const std::string& sandbox_id) override;
  Claimed claimed() override;

 private:
  HostMechanismsOptions options_;
  Claims claims_;
};

int HostMechanisms::kill_strays(const std::string& sandbox_id) {
  // Only a VMM has paths of a sandbox's own directories in its arguments.
  const std::string needles[] = {options_.directory + "/sandboxes/" + sandbox_id + "/",
                                 options_.directory + "/snapshots/" + sandbox_id + "/"};
  int killed = 0;
  for (const pid_t pid : sys::list_pids()) {
    if (pid == getpid()) continue;
    const auto stat = sys::read_proc_stat(pid);
    std::optional<std::string> arguments;
    try {
      arguments = sys::try_read_file(fmt::format("/proc/{}/cmdline", pid), sys::limits::kMapsFileBytes);
    } catch (const SystemError&) {
      continue;  // it has just ended
    }
    if (!stat || !arguments) continue;
    if (arguments->find(needles[0]) == std::string::npos && arguments->find(needles[1]) == std::string::npos)
      continue;
    auto process = sys::Process::adopt(pid, stat->start_time);
    if (!process) continue;
    log::warn("killing a VMM that no record knows", {{"pid", pid}, {"sandbox_id", sandbox_id}});
    process->signal(SIGKILL);
    if (!sys::wait_readable(process->pidfd(), 10s))
      throw_error(ErrorCode::deadline_exceeded, "process {} of sandbox {} does not die", pid, sandbox_id);
    ++killed;
  }
  return killed;
}

Mechanisms::Claimed HostMechanisms::claimed() {
  Claimed claimed;
  for (const std::string& name : claims_.list()) {
    if (name.starts_with(kSlotPrefix)) {
      const auto slot = parse_int<int>(std::string_view(name).substr(kSlotPrefix.size()));
      if (slot && *slot >= network::kFirstSlot && *slot <= network::kLastSlot) claimed.slots.push_back(*slot);
    } else if (name.starts_with(kSandboxPrefix)) {
      const std::string id = name.substr(kSandboxPrefix.size());
      if (model::SandboxId::parse(id)) claimed.sandbox_ids.push_back(id);
    }
  }
  return claimed;
}

}  // namespace

std::unique_ptr<Mechanisms> make_host_mechanisms(HostMechanismsOptions options) {
  return std::make_unique<HostMechanisms>(std::move(options));
}

std::string prepare_sandbox_cgroup(std::string& problem) {
  const std::vector<std::string> controllers = {"memory", "cpu", "pids"};
  try {
    const auto mount = sys::cgroup_mount();
    if (!mount) {
      problem = "no cgroup v2 hierarchy is mounted";
      return {};
    }
    const std::string path = *mount + "/wrenn";
    // The root may hold processes and groups, and only there can controllers be turned on for us.
    for (const std::string& controller : controllers)
      (void)sys::try_write_existing(*mount + "/cgroup.subtree_control", "+" + controller);
    auto group = sys::CgroupDir::adopt(path);
    if (!group) group = sys::CgroupDir::create(*mount, "wrenn");
    const auto on = group->enable_controllers(controllers);
    group->release();
    if (on.size() < controllers.size())
      problem = fmt::format("cgroup {} has only these of memory, cpu and pids: {}", path,
                            on.empty() ? "none" : join(on, ", "));
    return path;
  } catch (const Error& error) {
    problem = error.what();
    return {};
  }
}

}  // namespace wrenn::agent
