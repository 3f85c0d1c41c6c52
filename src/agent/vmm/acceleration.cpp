#include "agent/vmm/acceleration.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/vmm/identity.h"
#include "agent/vmm/limits.h"
#include "agent/vmm/machine.h"
#include "agent/vmm/qemu_arguments.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/json/fields.h"
#include "linux/command.h"
#include "linux/fd.h"

// The probe boots the kernel without any disk: it gets as far as looking for its root file system, says so in
// a panic and resets, which ends QEMU. That takes a quarter of a second on hardware and needs nothing of the
// kernel but a serial console, so an operator's own kernel is probed the same way. The text on the console is
// the proof, not the exit: a guest that crashes in its first instruction resets too.

namespace wrenn::agent::vmm {

namespace {

constexpr std::size_t kRecordBytes = 64 * 1024;

// The remembered answer and what it depends on.
struct Record {
  std::string boot_id;
  std::string vmm_version;
  std::string kernel;
  std::int64_t kernel_bytes = 0;
  std::int64_t kernel_mtime = 0;
  std::string device;  // owner and mode of /dev/kvm
  Acceleration kind = Acceleration::tcg;
  std::string why;
  static constexpr auto kFields =
      json::fields(json::field("bootId", &Record::boot_id), json::field("vmmVersion", &Record::vmm_version),
                   json::field("kernel", &Record::kernel), json::field("kernelBytes", &Record::kernel_bytes),
                   json::field("kernelMtime", &Record::kernel_mtime), json::field("device", &Record::device),
                   json::field("kind", &Record::kind), json::field("why", &Record::why));

  bool same_situation(const Record& other) const {
    return boot_id == other.boot_id && vmm_version == other.vmm_version && kernel == other.kernel &&
           kernel_bytes == other.kernel_bytes && kernel_mtime == other.kernel_mtime && device == other.device;
  }
};

Record describe_situation(const AccelerationProbe& probe) {
  Record now;
  now.boot_id = trim(sys::try_read_file("/proc/sys/kernel/random/boot_id", kRecordBytes).value_or(""));
  now.vmm_version = probe.vmm_version;
  now.kernel = probe.kernel;
  struct stat status{};
  if (::stat(probe.kernel.c_str(), &status) == 0) {
    now.kernel_bytes = status.st_size;
    now.kernel_mtime = status.st_mtime;
  }
  if (::stat("/dev/kvm", &status) == 0)
    now.device = fmt::format("{}:{} {:o}", status.st_uid, status.st_gid, status.st_mode & 07777);
  return now;
}

std::optional<Record> read_record(const std::string& path) {
  if (path.empty()) return std::nullopt;
  try {
    const auto text = sys::try_read_file(path, kRecordBytes);
    if (text) return json::from_json<Record>(*text);
  } catch (const Error&) {
    // Unreadable or of another version of ours: probe again and replace it.
  }
  return std::nullopt;
}

// Why the user that VMMs run as cannot open the device; empty when it can.
std::string device_problem(const std::optional<sys::ProcessIdentity>& identity) {
  struct stat node{};
  if (::stat("/dev/kvm", &node) != 0) {
    return errno == ENOENT ? "there is no /dev/kvm: enable virtualisation in the firmware, or load the "
                             "module kvm_intel or "
                             "kvm_amd"
                           : "/dev/kvm cannot be looked at";
  }
  const sys::Fd device = sys::Fd::adopt(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return "open /dev/kvm: " + std::string(SystemError(errno, "").what());
  const bool everybody = (node.st_mode & S_IROTH) != 0 && (node.st_mode & S_IWOTH) != 0;
  if (identity && identity->groups.empty() && !everybody)
    return "/dev/kvm is for root alone, and machine monitors run unprivileged: run chgrp kvm /dev/kvm; chmod "
           "660 "
           "/dev/kvm";
  return {};
}

AccelerationAnswer boot_under_kvm(const AccelerationProbe& probe) {
  const auto identity = machine_identity(0, Acceleration::kvm);
  if (std::string problem = device_problem(identity); !problem.empty()) return {Acceleration::tcg, problem};
  const sys::Fd kernel = sys::open_file(probe.kernel, O_RDONLY);
  sys::SpawnOptions spawn;
  spawn.argv = {probe.vmm_binary,
                "-M",
                std::string(kQemuBoard),
                "-accel",
                std::string(kQemuKvm),
                "-cpu",
                "host",
                "-m",
                "128",
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-no-reboot",
                "-serial",
                "stdio",
                "-kernel",
                "/dev/fd/3",
                "-append",
                "console=ttyS0 quiet loglevel=1 reboot=t panic=-1"};
  const char* path = ::getenv("PATH");
  spawn.env = {fmt::format("PATH={}", path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin")};
  spawn.fds = {{kernel, 3}};
  spawn.identity = identity;
  spawn.cwd = "/";
  spawn.new_session = true;
  spawn.no_new_privs = true;
  const SteadyTime start = SteadyClock::now();
  try {
    const sys::CommandResult result = sys::run_command(std::move(spawn), "", limits::kProbeTimeout);
    if (result.output.find(kKernelPanic) != std::string::npos)
      return {Acceleration::kvm,
              fmt::format("the guest kernel booted under KVM in {} ms", elapsed_ms(start))};
    std::string said = sanitize_utf8(trim(result.error));
    if (said.size() > limits::kErrorBytes) said.resize(limits::kErrorBytes);
    return {Acceleration::tcg, fmt::format("the guest kernel did not boot under KVM ({}{}{})",
                                           to_string(result.status), said.empty() ? "" : ": ", said)};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::deadline_exceeded) return {Acceleration::tcg, error.what()};
    return {
        Acceleration::tcg,
        fmt::format(
            "/dev/kvm is there, but the guest kernel hangs under it (no sign of life within {} s): usual for "
            "a virtual machine without nested virtualisation",
            std::chrono::seconds(limits::kProbeTimeout).count())};
  }
}

}  // namespace

AccelerationAnswer find_acceleration(const AccelerationProbe& probe) {
  Record record = describe_situation(probe);
  if (!probe.probe_again) {
    const auto known = read_record(probe.record_path);
    if (known && known->same_situation(record)) return {known->kind, known->why};
  }
  AccelerationAnswer answer = boot_under_kvm(probe);
  record.kind = answer.kind;
  record.why = answer.why;
  if (!probe.record_path.empty()) sys::write_file_atomic(probe.record_path, json::to_json(record), 0644);
  return answer;
}

}  // namespace wrenn::agent::vmm
