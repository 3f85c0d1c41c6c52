#include "guest/initramfs_init.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "guest/command_line.h"
#include "guest/guest_network.h"
#include "guest/limits.h"
#include "guest/load_order.h"
#include "linux/fd.h"

// From kernel to root disk. Everything here is on the path of a cold boot, under TCG at a tenth of the usual
// speed; so what the guest needs in the way of mounts and addresses is done here by system calls, and
// wrenn-init (a shell script, which must also work without an initramfs) finds it done and forks for none of
// it.
//
//   rootfs (this archive)             /newroot = the disk
//   /init /modules /dev/console  →    mount, move /dev /proc /sys into it,
//                                     delete the archive, make it /, exec wrenn-init

namespace wrenn::guest {

namespace {

constexpr const char* kNewRoot = "/newroot";

class Trace {
 public:
  explicit Trace(bool enabled) : enabled_(enabled) {}
  void reached(const char* step) const {
    if (!enabled_) return;
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    std::fprintf(stderr, "wrenn: %3ld.%03ld %s\n", static_cast<long>(now.tv_sec), now.tv_nsec / 1'000'000,
                 step);
  }

 private:
  bool enabled_;
};

void make_directory(const char* path, mode_t mode) {
  if (::mkdir(path, mode) != 0 && errno != EEXIST) throw_errno("create directory {}", path);
}

void mount_at(const char* type, const char* target, unsigned long flags, const char* data = nullptr) {
  if (::mount(type, target, type, flags, data) != 0) throw_errno("mount {} on {}", type, target);
}

void mount_kernel_filesystems() {
  for (const char* directory : {"/dev", "/proc", "/sys", kNewRoot}) make_directory(directory, 0755);
  mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
  mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

void load_modules() {
  const std::string directory = fmt::format("/{}/", kModulesDirectory);
  const std::string order = sys::read_file(directory + std::string(kLoadOrderFile), limits::kLoadOrderBytes);
  for (const std::string& name : parse_load_order(order)) {
    const sys::Fd module = sys::open_file(directory + name, O_RDONLY);
    if (::syscall(SYS_finit_module, module.get(), "", 0) != 0 && errno != EEXIST)
      throw_errno("load module {}", name);
  }
}

void wait_for_root_device(const std::string& device) {
  const auto deadline = std::chrono::steady_clock::now() + limits::kRootDeviceTimeout;
  while (::access(device.c_str(), F_OK) != 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw_error(ErrorCode::deadline_exceeded,
                  "no root disk {} after {} s; is there a drive, and its driver in the initramfs?", device,
                  limits::kRootDeviceTimeout.count());
    }
    std::this_thread::sleep_for(limits::kRootDevicePoll);
  }
}

void mount_root(const BootOptions& options) {
  // Reading must not dirty the capsule's overlay, hence no access times.
  const unsigned long flags = MS_NOATIME | (options.read_only ? MS_RDONLY : 0);
  if (::mount(options.root.c_str(), kNewRoot, options.root_type.c_str(), flags,
              options.root_options.c_str()) != 0) {
    throw_errno("mount {} as {} ({})", options.root, options.root_type, options.root_options);
  }
}

struct Mountpoint {
  const char* type;
  const char* target;  // below the new root
  unsigned long flags;
  const char* data;
};

// What wrenn-init would otherwise have to fork mount(8) for. A read-only or unusual root may lack one of the
// directories; wrenn-init complains about what is really missing.
void mount_below_root() {
  constexpr std::array kMounts{
      Mountpoint{"devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
      Mountpoint{"tmpfs", "dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
      Mountpoint{"tmpfs", "tmp", MS_NOSUID | MS_NODEV, "mode=1777"},
      Mountpoint{"tmpfs", "run", MS_NOSUID | MS_NODEV, "mode=755"},
      Mountpoint{"cgroup2", "sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
  };
  for (const Mountpoint& mount : kMounts) {
    const std::string target = fmt::format("{}/{}", kNewRoot, mount.target);
    (void)::mkdir(target.c_str(), 0755);
    if (::mount(mount.type, target.c_str(), mount.type, mount.flags, mount.data) != 0 && errno != EBUSY) {
      std::fprintf(stderr, "wrenn: mount %s on /%s: %s\n", mount.type, mount.target, std::strerror(errno));
    }
  }
}

// The names of a process's own streams, which udev makes elsewhere.
void link_standard_streams() {
  (void)::symlink("/proc/self/fd", "/dev/fd");
  (void)::symlink("/proc/self/fd/0", "/dev/stdin");
  (void)::symlink("/proc/self/fd/1", "/dev/stdout");
  (void)::symlink("/proc/self/fd/2", "/dev/stderr");
}

void move_kernel_filesystems() {
  for (const char* directory : {"/dev", "/proc", "/sys"}) {
    const std::string target = fmt::format("{}{}", kNewRoot, directory);
    make_directory(target.c_str(), 0755);
    if (::mount(directory, target.c_str(), nullptr, MS_MOVE, nullptr) != 0)
      throw_errno("move {} to the root disk", directory);
  }
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// Removes what is in `directory` on the device `device` only: the disk and the moved file systems stay. Best
// effort, the aim being memory. The archive's program file is freed when exec replaces this process.
void delete_contents(int parent, const char* name, dev_t device) noexcept {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
  if (!directory) {
    ::close(fd);
    return;
  }
  struct stat status{};
  if (::fstat(fd, &status) != 0 || status.st_dev != device) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (entry->d_type == DT_DIR) {
      delete_contents(fd, entry->d_name, device);
      (void)::unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    } else {
      (void)::unlinkat(fd, entry->d_name, 0);
    }
  }
}

void switch_root() {
  struct stat status{};
  if (::stat("/", &status) != 0) throw_errno("stat the initramfs");
  if (::chdir(kNewRoot) != 0) throw_errno("enter {}", kNewRoot);
  delete_contents(AT_FDCWD, "/", status.st_dev);
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) throw_errno("make the root disk /");
  if (::chroot(".") != 0) throw_errno("change root to the disk");
  if (::chdir("/") != 0) throw_errno("enter the new root");
}

// The streams that the kernel opened belong to the archive's console node, which is gone.
void reopen_console() {
  const int console = ::open("/dev/console", O_RDWR | O_NOCTTY);
  if (console < 0) return;  // a machine without a console; the old descriptors still go nowhere
  for (const int stream : {0, 1, 2}) (void)::dup2(console, stream);
  if (console > 2) ::close(console);
}

[[noreturn]] void become_init(const std::string& init) {
  const char* argv[] = {init.c_str(), nullptr};
  const char* environment[] = {"HOME=/root", "TERM=linux",
                               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  ::execve(argv[0], const_cast<char**>(argv), const_cast<char**>(environment));
  throw_errno("execute {} of the root disk", init);
}

void boot() {
  mount_kernel_filesystems();
  link_standard_streams();
  const BootOptions options = parse_command_line(sys::read_file("/proc/cmdline", limits::kCommandLineBytes));
  const Trace trace(options.trace);
  trace.reached("initramfs: kernel file systems mounted");

  load_modules();
  trace.reached("initramfs: modules loaded");
  configure_network();

  wait_for_root_device(options.root);
  mount_root(options);
  trace.reached("initramfs: root disk mounted");

  move_kernel_filesystems();
  mount_below_root();
  switch_root();
  reopen_console();
  trace.reached("initramfs: starting init");
  become_init(options.init);
}

}  // namespace

int run_initramfs_init() noexcept {
  try {
    boot();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wrenn: this guest cannot boot: %s\n", error.what());
  }
  // A microVM has no power button that works everywhere, but every VMM ends when its guest resets (QEMU with
  // -no-reboot).
  (void)::syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, nullptr);
  return 1;
}

}  // namespace wrenn::guest
