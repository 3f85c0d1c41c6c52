#include "linux/loop_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

constexpr const char* kControl = "/dev/loop-control";
constexpr unsigned kLoopMajor = 7;

// The node of device `number`; makes it where nobody else does (no devtmpfs, as in a chroot).
Fd open_node(int number, int flags) {
  const std::string path = fmt::format("/dev/loop{}", number);
  if (auto fd = try_open_file(path, flags)) return std::move(*fd);
  if (::mknod(path.c_str(), S_IFBLK | 0660, ::makedev(kLoopMajor, static_cast<unsigned>(number))) < 0 &&
      errno != EEXIST)
    throw_errno("create {}", path);
  return open_file(path, flags);
}

// "1\n" → true; false also when the file is absent.
bool flag_file(const std::string& path) {
  const auto text = try_read_file(path, limits::kProcFileBytes);
  return text && trim(*text) == "1";
}

}  // namespace

LoopDevice LoopDevice::attach(const std::string& file, const LoopOptions& options) {
  const int access = options.read_only ? O_RDONLY : O_RDWR;
  const Fd backing = open_file(file, access);
  const Fd control = open_file(kControl, O_RDWR);
  loop_config config{};
  config.fd = static_cast<__u32>(backing.get());
  if (options.read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  if (options.direct_io) config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
  if (options.auto_clear) config.info.lo_flags |= LO_FLAGS_AUTOCLEAR;
  // A label only, cut at 63 bytes; the kernel keeps the whole path by itself.
  file.copy(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1);

  for (int attempt = 0; attempt < limits::kLoopAttachTries; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) throw_errno("find a free loop device for {}", file);
    Fd device = open_node(number, access);
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0)
      return LoopDevice(fmt::format("/dev/loop{}", number), std::move(device));
    // Between the two calls another process may have taken it.
    if (errno != EBUSY) throw_errno("attach {} to /dev/loop{}", file, number);
  }
  errno = EBUSY;
  throw_errno("attach {}: others took the free loop device {} times", file, limits::kLoopAttachTries);
}

std::optional<LoopDevice> LoopDevice::adopt(const std::string& path) {
  // O_RDONLY is enough to detach, and works for read-only devices.
  auto fd = try_open_file(path, O_RDONLY);
  if (!fd) return std::nullopt;
  loop_info64 info{};
  if (::ioctl(fd->get(), LOOP_GET_STATUS64, &info) < 0) {
    if (errno == ENXIO) return std::nullopt;
    throw_errno("inspect {}", path);
  }
  return LoopDevice(path, std::move(*fd));
}

LoopDevice::LoopDevice(LoopDevice&& other) noexcept
    : path_(std::exchange(other.path_, std::string())), fd_(std::move(other.fd_)) {}

LoopDevice& LoopDevice::operator=(LoopDevice&& other) noexcept {
  if (this != &other) {
    reset();
    path_ = std::exchange(other.path_, std::string());
    fd_ = std::move(other.fd_);
  }
  return *this;
}

std::uint64_t LoopDevice::size_bytes() const {
  std::uint64_t size = 0;
  if (::ioctl(fd_.get(), BLKGETSIZE64, &size) < 0) throw_errno("ask for the size of {}", path_);
  return size;
}

void LoopDevice::detach() {
  if (path_.empty()) return;
  // ENXIO: nothing attached any more.
  if (::ioctl(fd_.get(), LOOP_CLR_FD) < 0 && errno != ENXIO) throw_errno("detach {}", path_);
  release();  // the kernel detaches at the last close, which may be this one
}

void LoopDevice::release() noexcept {
  path_.clear();
  fd_.reset();
}

void LoopDevice::reset() noexcept {
  try {
    detach();
  } catch (const std::exception& error) {
    log::warn("loop device stays attached", {{"device", path_}, {"error", error.what()}});
    release();
  }
}

std::vector<LoopInfo> list_loop_devices() {
  std::vector<LoopInfo> devices;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/sys/block"), ::closedir);
  if (!directory) throw_errno("list /sys/block");
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (!name.starts_with("loop")) continue;
    const std::string folder = "/sys/block/" + name;
    std::optional<std::string> backing;
    try {
      backing = try_read_file(folder + "/loop/backing_file", limits::kProcFileBytes);
    } catch (const SystemError&) {
      continue;  // detached between open and read
    }
    if (!backing) continue;  // not attached
    if (backing->ends_with('\n')) backing->pop_back();
    devices.push_back({.path = "/dev/" + name,
                       .backing_file = std::move(*backing),
                       .read_only = flag_file(folder + "/ro"),
                       .auto_clear = flag_file(folder + "/loop/autoclear")});
  }
  return devices;
}

bool loop_devices_available() noexcept {
  return Fd::adopt(::open(kControl, O_RDWR | O_CLOEXEC)).valid();
}

}  // namespace wrenn::sys
