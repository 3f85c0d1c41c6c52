#include "agent/vmm/qemu.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

#include "agent/vmm/limits.h"
#include "agent/vmm/qemu_arguments.h"
#include "agent/vmm/qemu_machine.h"
#include "agent/vmm/socket_path.h"
#include "core/base/crash_point.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "linux/command.h"
#include "linux/file.h"

namespace wrenn::agent::vmm {

namespace {

constexpr int kOomScoreAdj = 500;  // when memory is short a guest goes before the agent does
constexpr rlim_t kOpenFiles = 1024;
constexpr const char* kMonitorSocket = "qmp.sock";

std::string search_path() {
  const char* path = ::getenv("PATH");
  return fmt::format("PATH={}",
                     path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

// A file in memory that cannot grow: whatever QEMU prints, and a guest may make it print, needs no disk and
// no reader.
sys::Fd make_bounded_file() {
  sys::Fd file = sys::Fd::adopt(::memfd_create("qemu-stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) throw_errno("create a file for QEMU's messages");
  if (::ftruncate(file.get(), limits::kStderrBytes) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    throw_errno("limit the file for QEMU's messages");
  return file;
}

// We listen in QEMU's place, so the monitor can be connected to at once and its socket belongs to us.
sys::Fd listen_for_monitor(const std::string& path) {
  const SocketPath name(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.text().copy(address.sun_path, sizeof address.sun_path - 1);
  ::unlink(path.c_str());
  sys::Fd socket = sys::Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) throw_errno("create a socket for QEMU's monitor");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw_errno("bind {}", path);
  if (::chmod(path.c_str(), 0600) != 0) throw_errno("set the mode of {}", path);
  if (::listen(socket.get(), 2) != 0) throw_errno("listen at {}", path);
  return socket;
}

sys::Fd open_for_everybody(const std::string& path, std::string_view what) {
  sys::Fd file = sys::open_file(path, O_RDONLY);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw_errno("look at {}", path);
  if ((status.st_mode & S_IROTH) == 0)
    throw_error(ErrorCode::failed_precondition,
                "the {} {} cannot be read by the unprivileged user of the machine monitor: run chmod a+r {}",
                what, path, path);
  return file;
}

struct Started {
  sys::Process process;
  sys::Fd messages;
  MachineRecord record;
};

// Everything from files to a running process; blocks for some milliseconds.
Started spawn_qemu(const QemuOptions& options, const std::string& version, const MachineConfig& config,
                   bool restore) {
  MachineRecord record;
  record.control_socket = config.run_directory + "/" + kMonitorSocket;
  record.memory_mapping = config.memory_mapping;
  record.memory_base = config.memory_base;
  record.memory_mib = config.memory_mib;
  record.vcpus = config.vcpus;
  record.acceleration = config.acceleration;
  record.vmm_version = version;

  const std::uint64_t memory_bytes = static_cast<std::uint64_t>(config.memory_mib) << 20;
  if (sys::file_size(config.memory) != memory_bytes)
    throw_error(ErrorCode::data_loss, "the base of the guest's memory has {} bytes instead of {}",
                sys::file_size(config.memory), memory_bytes);
  sys::Fd kernel, initramfs;
  if (!restore) {
    kernel = open_for_everybody(config.kernel, "kernel");
    if (!config.initramfs.empty()) initramfs = open_for_everybody(config.initramfs, "initramfs");
  }
  const sys::Fd disk = sys::open_file(config.disk.path, O_RDWR);
  struct stat disk_status{};
  if (::fstat(disk.get(), &disk_status) != 0) throw_errno("look at {}", config.disk.path);
  std::vector<sys::Fd> backing;
  for (const std::string& path : config.disk.backing) backing.push_back(sys::open_file(path, O_RDONLY));
  const sys::Fd monitor = listen_for_monitor(record.control_socket);
  ScopeGuard remove_socket([&] { ::unlink(record.control_socket.c_str()); });
  sys::Fd messages = make_bounded_file();

  QemuInvocation invocation;
  invocation.binary = options.binary;
  invocation.tcg_buffer_mib = options.tcg_buffer_mib;
  invocation.restore = restore;
  invocation.disk_is_block_device = S_ISBLK(disk_status.st_mode);
  sys::SpawnOptions spawn;
  spawn.argv = qemu_arguments(invocation, config);
  spawn.env = {search_path()};
  spawn.cwd = "/";
  spawn.stdout_fd = messages;
  spawn.stderr_fd = messages;
  spawn.fds = {{monitor, kQemuMonitor}, {config.memory, kQemuMemory}, {disk, kQemuDisk}};
  if (kernel.valid()) spawn.fds.push_back({kernel, kQemuKernel});
  if (initramfs.valid()) spawn.fds.push_back({initramfs, kQemuInitramfs});
  for (std::size_t i = 0; i < backing.size(); ++i)
    spawn.fds.push_back({backing[i], kQemuBacking + static_cast<int>(i)});
  if (config.tap.valid()) spawn.fds.push_back({config.tap, kQemuTap});
  spawn.netns = config.netns;
  spawn.cgroup = config.cgroup;
  spawn.identity = config.identity;
  spawn.new_session = true;
  spawn.no_new_privs = true;
  spawn.oom_score_adj = kOomScoreAdj;
  spawn.umask = 0077;
  spawn.limits = {{RLIMIT_CORE, 0, 0}, {RLIMIT_NOFILE, kOpenFiles, kOpenFiles}};
  sys::Process process = sys::Process::spawn(spawn);
  remove_socket.dismiss();
  record.pid = process.pid();
  record.start_time = process.start_time();
  return {std::move(process), std::move(messages), std::move(record)};
}

class Qemu final : public Vmm {
 public:
  Qemu(async::Scope& scope, async::ThreadPool& blocking, QemuOptions options, std::string version)
      : scope_(scope),
        blocking_(blocking),
        options_(std::move(options)),
        version_(fmt::format("{} machine {}", version, kQemuMachine)) {}

  std::string version() const override { return version_; }
  std::string cpu_model(Acceleration acceleration) const override { return qemu_cpu_model(acceleration); }

  Task<std::unique_ptr<Machine>> start(const MachineConfig& config) override {
    auto machine = co_await launch(config, false);
    co_return machine;
  }

  Task<std::unique_ptr<Machine>> restore(const MachineConfig& config, sys::FdView device_state,
                                         Fill fill) override {
    auto machine = co_await launch(config, true);
    std::exception_ptr failure;
    try {
      if (fill) {
        auto work = [&fill, record = machine->record()] { fill(record); };
        co_await async::offload(blocking_, std::move(work));
      }
      crash_point("vmm.filled");
      co_await machine->load_state(device_state);
      crash_point("vmm.loaded");
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      co_await end_failed(*machine);
      std::rethrow_exception(failure);
    }
    co_return machine;
  }

  Task<std::unique_ptr<Machine>> adopt(const MachineRecord& record) override {
    auto process = sys::Process::adopt(static_cast<pid_t>(record.pid), record.start_time);
    if (!process) co_return nullptr;
    auto messages =
        sys::try_open_file(fmt::format("/proc/{}/fd/2", record.pid), O_RDONLY).value_or(sys::Fd());
    auto machine = std::make_unique<QemuMachine>(scope_, record, std::move(*process), std::move(messages));
    co_await machine->connect(limits::kAdoptTimeout);
    co_await machine->catch_up();
    co_return machine;
  }

 private:
  Task<std::unique_ptr<QemuMachine>> launch(const MachineConfig& config, bool restore) {
    auto work = [this, &config, restore] { return spawn_qemu(options_, version_, config, restore); };
    Started started = co_await async::offload(blocking_, std::move(work));
    crash_point("vmm.spawned");
    auto machine = std::make_unique<QemuMachine>(scope_, std::move(started.record),
                                                 std::move(started.process), std::move(started.messages));
    std::exception_ptr failure;
    try {
      co_await machine->connect(limits::kStartTimeout);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      co_await end_failed(*machine);
      std::rethrow_exception(failure);
    }
    co_return machine;
  }

  // The failure that brought us here counts, also when it is a cancellation, under which nothing can be
  // awaited any more: the process is told to die before the first wait.
  static Task<> end_failed(QemuMachine& machine) {
    try {
      co_await machine.stop();
    } catch (const Error&) {
    }
  }

  async::Scope& scope_;
  async::ThreadPool& blocking_;
  QemuOptions options_;
  std::string version_;
};

}  // namespace

std::string find_qemu_version(const std::string& binary) {
  sys::SpawnOptions spawn;
  spawn.argv = {binary, "--version"};
  spawn.env = {search_path()};
  std::string output;
  try {
    output = sys::run_command(std::move(spawn), "", limits::kVersionTimeout).output;
  } catch (const SystemError& error) {
    throw_error(ErrorCode::failed_precondition,
                "QEMU cannot be run ({}): install it (Debian: apt-get install qemu-system-x86)",
                error.what());
  }
  // "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
  constexpr std::string_view kBefore = "version ";
  const auto found = output.find(kBefore);
  std::string_view rest = output;
  rest = found == std::string::npos ? std::string_view() : rest.substr(found + kBefore.size());
  const std::string_view number = rest.substr(0, rest.find_first_of(" \n"));
  const auto parts = split(number, '.');
  const auto major = parse_int<int>(parts.front());
  if (!major)
    throw_error(ErrorCode::failed_precondition, "{} --version does not say a version: {}", binary,
                sanitize_utf8(output.substr(0, 200)));
  constexpr int kOldest = 7;
  if (*major < kOldest)
    throw_error(ErrorCode::failed_precondition, "QEMU {} is too old; version {} or later is needed", number,
                kOldest);
  return fmt::format("qemu {}", number);
}

std::unique_ptr<Vmm> make_qemu(async::Scope& scope, async::ThreadPool& blocking, QemuOptions options,
                               std::string version) {
  return std::make_unique<Qemu>(scope, blocking, std::move(options), std::move(version));
}

}  // namespace wrenn::agent::vmm
