// What a machine monitor (VMM) can do for us, free of any one VMM.
//
//   Vmm      starts machines of one kind, and finds again those that an earlier run of the agent started
//   Machine  one running VMM process
//
// A VMM process outlives the agent on purpose: destroying a Machine closes our handles and leaves the process
// alone. Who wants it gone calls stop(). Everything here belongs to the agent's loop thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/async/task.h"
#include "core/json/fields.h"
#include "linux/fd.h"
#include "linux/process.h"

namespace wrenn::agent::vmm {

using async::Task;

enum class Acceleration { kvm, tcg };
std::string_view to_string(Acceleration acceleration) noexcept;  // "kvm", "tcg"
std::optional<Acceleration> from_string(std::string_view text, Acceleration*) noexcept;

enum class DiskFormat { raw, qcow2 };
std::string_view to_string(DiskFormat format) noexcept;
std::optional<DiskFormat> from_string(std::string_view text, DiskFormat*) noexcept;

// The root disk as the VMM gets it. The files are opened by the agent and handed over as descriptors: the
// VMM's user needs no right to the paths.
struct DiskSource {
  DiskFormat format = DiskFormat::raw;
  std::string path;  // file or block device, opened for reading and writing
  // qcow2: what is below it, opened for reading only. First the raw image, then the qcow2 layers from the
  // image upwards.
  std::vector<std::string> backing;
};

enum class DiskMerge { none, going, ended };  // ended: of itself, and end_disk_merge() was not called yet

// Descriptors are lent for the duration of start() or restore().
struct MachineConfig {
  std::string sandbox_id;  // names the process; appears in messages
  int vcpus = 1;
  int memory_mib = 512;
  Acceleration acceleration = Acceleration::tcg;

  // Not used by restore(): a restored guest has its kernel in memory. Both files must be readable by
  // everybody (mode 0444), because the VMM opens them with its own user's rights.
  std::string kernel;
  std::string initramfs;  // empty: none
  std::string command_line;

  // The base of the guest's memory: a file in memory of exactly memory_mib MiB that is sealed against writing
  // and may be opened by everybody (agent/snapshot/memory_base.h), mapped privately.
  sys::FdView memory;
  std::string memory_mapping;  // its name in /proc/PID/maps
  std::string memory_base;     // the file on disk that it was loaded from, for the record; empty: zeros

  DiskSource disk;

  sys::FdView tap;  // TAP opened with vnet_header; unset: the machine has no network card
  std::string mac;  // "02:FC:00:00:00:05"

  sys::FdView netns;                             // unset: ours
  sys::FdView cgroup;                            // unset: ours
  std::optional<sys::ProcessIdentity> identity;  // absent: our own user
  // An existing directory of this machine alone. The control socket is made in it; nothing in it grows.
  std::string run_directory;
};

// What is needed to find a machine again after the agent was restarted, and to snapshot it. Kept in the
// journal.
struct MachineRecord {
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;  // clock ticks after boot: with the pid it names the process for all time
  std::string control_socket;
  std::string memory_mapping;  // of the base of the guest's memory, in /proc/PID/maps
  std::string memory_base;     // the file on disk that the base is; empty: zeros
  int memory_mib = 0;
  int vcpus = 0;
  Acceleration acceleration = Acceleration::tcg;
  std::string vmm_version;
  static constexpr auto kFields =
      json::fields(json::field("pid", &MachineRecord::pid, json::kRequired),
                   json::field("startTime", &MachineRecord::start_time, json::kRequired),
                   json::field("controlSocket", &MachineRecord::control_socket, json::kRequired),
                   json::field("memoryMapping", &MachineRecord::memory_mapping, json::kRequired),
                   json::field("memoryBase", &MachineRecord::memory_base),
                   json::field("memoryMib", &MachineRecord::memory_mib, json::kRequired),
                   json::field("vcpus", &MachineRecord::vcpus, json::kRequired),
                   json::field("acceleration", &MachineRecord::acceleration, json::kRequired),
                   json::field("vmmVersion", &MachineRecord::vmm_version));
};

// With this Linux begins to say on the console why it panics: "Kernel panic - not syncing: …" (kernel/panic.c,
// since Linux 0.x).
inline constexpr std::string_view kKernelPanic = "Kernel panic";

// Why a machine is no more.
struct MachineEnd {
  enum class Cause {
    stopped,      // by stop()
    powered_off,  // the guest switched itself off
    reset,        // the guest restarted itself, which a capsule must not; a kernel panic ends so too
    failed,       // the VMM ended by itself or was killed by somebody else
    hung,         // by end_hung()
  };
  Cause cause = Cause::failed;
  std::string detail;   // exit status and what the VMM printed; may be shown to the caller
  std::string console;  // the last bytes of the guest's console, hostile text, at most limits::kConsoleBytes
};
std::string_view to_string(MachineEnd::Cause cause) noexcept;
// One line for a log or an error: "the guest restarted itself (kernel panic?); console: …".
std::string describe(const MachineEnd& end);

class Machine {
 public:
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  virtual const MachineRecord& record() const noexcept = 0;
  // The process, for its pidfd, and the pid that names /proc/PID for metrics and snapshots.
  pid_t pid() const noexcept { return static_cast<pid_t>(record().pid); }

  // Stops the vCPUs; on return the guest does nothing more and its disk writes have reached the file.
  // Idempotent. Throws Error(deadline_exceeded | unavailable when the VMM is gone).
  virtual Task<> pause() = 0;
  // Lets the vCPUs run (again). Idempotent. Throws as pause().
  virtual Task<> resume() = 0;
  // Writes the state of CPUs and devices (some KiB), without memory and disks, to `file`, an empty file open
  // for writing that the caller keeps open. The machine must be paused, and stays so. Throws as pause().
  virtual Task<> save_state(sys::FdView file) = 0;
  // A paused machine's disk, a qcow2 file, becomes a layer that is not written any more: from now on
  // `overlay`, an empty qcow2 file with the disk's size, takes the writes. Throws as pause(), and
  // Error(failed_precondition) when the VMM refuses; then the disk is as it was. Not while a merge goes on.
  virtual Task<> push_overlay(sys::FdView overlay) = 0;
  // How many files are below the disk by now. Throws as pause(), Error(internal) when the VMM does not say.
  virtual Task<std::size_t> disk_layers() = 0;
  // Begins to copy what the layers hold into the disk's own file (qcow2), slowly, beside the running guest
  // (limits::kMergeBytesPerSecond). Once that has ended the file lies on the image alone, and disk_layers()
  // is 1; before, the chain is as it was. `image` is the image's path, for the file's header. Leaves a disk
  // alone whose own file has extended L2 entries, as earlier versions wrote them. Throws as pause(),
  // Error(failed_precondition) when one goes on already or the VMM refuses.
  virtual Task<> begin_disk_merge(std::string image) = 0;
  virtual Task<DiskMerge> disk_merge() = 0;
  // Ends it, at its goal or not, if there is one, and closes the files that are not in use any more: those
  // that were merged, and one that push_overlay() left when the agent ended in the middle. Throws as pause().
  virtual Task<> end_disk_merge() = 0;
  // Ends the process at once (SIGKILL; a capsule is never asked) and returns when it is gone. Idempotent.
  // Throws Error(deadline_exceeded) when the kernel does not let it die.
  virtual Task<> stop() = 0;
  // Asks the VMM for an answer, which takes milliseconds unless it hangs; then says how it does
  // (limits::kProbe…). A host that is busy or stands still is no reason. Not while anybody has it do what may
  // take long. Throws Error(canceled) only.
  virtual Task<std::optional<std::string>> find_hang() = 0;
  // Ends the process at once, as stop(), but wait_end() tells that it hung, and `how`. Does not wait.
  virtual void end_hung(std::string how) = 0;
  // Returns when the process is gone. Any number of waiters. Throws Error(canceled) only.
  virtual Task<MachineEnd> wait_end() = 0;
  // Absent while it runs.
  virtual std::optional<MachineEnd> ended() const = 0;
  // The last bytes of the guest's console: hostile text. Empty when the VMM does not answer; does not throw
  // but Error(canceled).
  virtual Task<std::string> console() = 0;

 protected:
  Machine() = default;
};

class Vmm {
 public:
  virtual ~Vmm() = default;
  Vmm() = default;
  Vmm(const Vmm&) = delete;
  Vmm& operator=(const Vmm&) = delete;

  // "qemu 7.2.22 machine 3": a saved state is only loaded by the version that wrote it, into a machine built
  // the same way.
  virtual std::string version() const = 0;
  // The CPU that the guest sees under this acceleration ("host", "max"), as a snapshot's manifest records it.
  virtual std::string cpu_model(Acceleration acceleration) const = 0;

  // Boots. On return the process exists and its vCPUs run; the guest is not up yet. Throws Error with what
  // the VMM complained about; nothing is left then but the run directory.
  virtual Task<std::unique_ptr<Machine>> start(const MachineConfig& config) = 0;
  // Makes a machine from a saved state, on `config.memory` as its base and with the disk of that moment.
  // `fill`, unless empty, is called on a thread of the pool once the memory is mapped, to put the pages there
  // by which it differs from the base. Paused: nothing of the guest runs before resume(), and up to then no
  // file has changed, so a failed restore can be repeated. Throws as start(), and what `fill` throws.
  using Fill = std::function<void(const MachineRecord&)>;
  virtual Task<std::unique_ptr<Machine>> restore(const MachineConfig& config, sys::FdView device_state,
                                                 Fill fill) = 0;
  // Finds a machine of an earlier run of the agent. Null when it is gone. Throws Error when the process lives
  // but cannot be talked to (the caller may then kill it by record).
  virtual Task<std::unique_ptr<Machine>> adopt(const MachineRecord& record) = 0;
};

// Kills by record, for a process that cannot be adopted; waits until it is gone. Blocks. Throws SystemError,
// Error(deadline_exceeded).
void kill_machine(const MachineRecord& record);

}  // namespace wrenn::agent::vmm
