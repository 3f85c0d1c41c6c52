// The ioctls of /dev/mapper/control all take one buffer: a dm_ioctl header, then what the command needs
// (targets with their parameters, a name list, versions), at data_start. The kernel answers into the same
// buffer and sets DM_BUFFER_FULL_FLAG when it was too small.
#include "linux/device_mapper.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/file.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

constexpr const char* kFolder = "/dev/mapper";
constexpr const char* kControl = "/dev/mapper/control";

std::string node_path(const std::string& name) {
  return fmt::format("{}/{}", kFolder, name);
}

// The minor number of the control device, from the "236 device-mapper" line of /proc/misc.
std::optional<unsigned> control_minor() {
  const std::string text = read_file("/proc/misc", limits::kProcFileBytes);  // named: the lines point into it
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    const auto space = line.find(' ');
    if (space != std::string_view::npos && line.substr(space + 1) == "device-mapper")
      return parse_int<unsigned>(line.substr(0, space));
  }
  return std::nullopt;
}

Fd open_control() {
  // Where the node exists, opening it makes the kernel load the module.
  if (auto fd = try_open_file(kControl, O_RDWR)) return std::move(*fd);
  const auto minor_number = control_minor();
  if (!minor_number)
    throw_error(ErrorCode::unavailable, "this kernel has no device-mapper (modprobe dm_mod)");
  make_directories(kFolder);
  if (::mknod(kControl, S_IFCHR | 0600, ::makedev(10, *minor_number)) < 0 && errno != EEXIST)
    throw_errno("create {}", kControl);
  return open_file(kControl, O_RDWR);
}

// A command and its buffer.
class DmCommand {
 public:
  DmCommand(const std::string& name, std::uint32_t flags, std::size_t bytes = limits::kDmReplyBytes)
      : buffer_(bytes) {
    dm_ioctl header{};
    header.version[0] = DM_VERSION_MAJOR;  // minor 0: all we use is older than any kernel in service
    header.data_size = static_cast<__u32>(bytes);
    header.data_start = sizeof(dm_ioctl);
    header.flags = flags;
    if (name.size() >= sizeof(header.name))
      throw_error(ErrorCode::invalid_argument, "device name \"{}\" is longer than {} bytes", name,
                  sizeof(header.name) - 1);
    name.copy(header.name, sizeof(header.name) - 1);
    store(0, header);
  }

  // Returns errno, 0 for success.
  int run(const Fd& control, unsigned long command) {
    return ::ioctl(control.get(), command, buffer_.data()) < 0 ? errno : 0;
  }

  dm_ioctl header() const { return load<dm_ioctl>(0); }
  bool buffer_full() const { return (header().flags & DM_BUFFER_FULL_FLAG) != 0; }
  void set_target_count(std::size_t count) {
    dm_ioctl changed = header();
    changed.target_count = static_cast<__u32>(count);
    store(0, changed);
  }

  template <typename T>
  void store(std::size_t at, const T& value) {
    std::memcpy(buffer_.data() + at, &value, sizeof(T));
  }
  template <typename T>
  T load(std::size_t at) const {
    if (at + sizeof(T) > buffer_.size())
      throw_error(ErrorCode::internal, "device-mapper answered outside of its buffer");
    T value;
    std::memcpy(&value, buffer_.data() + at, sizeof(T));
    return value;
  }
  void store_text(std::size_t at, const std::string& text) { text.copy(chars() + at, text.size()); }
  std::string text_at(std::size_t at) const {
    if (at >= buffer_.size()) return {};
    const char* begin = reinterpret_cast<const char*>(buffer_.data()) + at;
    return std::string(begin, ::strnlen(begin, buffer_.size() - at));
  }
  std::size_t size() const noexcept { return buffer_.size(); }

 private:
  char* chars() noexcept { return reinterpret_cast<char*>(buffer_.data()); }
  std::vector<std::byte> buffer_;
};

// For commands whose whole message is the header.
DmCommand run_simple(const Fd& control, unsigned long command, const std::string& name, std::uint32_t flags,
                     const char* what) {
  DmCommand message(name, flags, sizeof(dm_ioctl) + 256);
  if (const int error = message.run(control, command)) {
    errno = error;
    throw_errno("{} {}", what, name);
  }
  return message;
}

// For commands that answer with data: grows the buffer until the answer fits. Absent when there is no such
// device.
std::optional<DmCommand> run_query(const Fd& control, unsigned long command, const std::string& name,
                                   const char* what, std::uint32_t flags = 0) {
  for (std::size_t bytes = limits::kDmReplyBytes; bytes <= limits::kDmReplyMaxBytes; bytes *= 4) {
    DmCommand message(name, flags, bytes);
    if (const int error = message.run(control, command)) {
      if (error == ENXIO) return std::nullopt;
      errno = error;
      throw_errno("{} {}", what, name);
    }
    if (!message.buffer_full()) return message;
  }
  throw_error(ErrorCode::too_large, "{} {}: the answer exceeds {} bytes", what, name,
              limits::kDmReplyMaxBytes);
}

// 0, or what the kernel says.
int try_to_load_table(const Fd& control, const std::string& name, const std::vector<DmTarget>& table,
                      bool read_only) {
  std::size_t bytes = sizeof(dm_ioctl);
  const auto padded = [](const DmTarget& target) {
    return sizeof(dm_target_spec) + (target.parameters.size() + 1 + 7) / 8 * 8;
  };
  for (const DmTarget& target : table) bytes += padded(target);
  DmCommand message(name, read_only ? DM_READONLY_FLAG : 0, bytes);
  message.set_target_count(table.size());
  std::size_t at = sizeof(dm_ioctl);
  for (const DmTarget& target : table) {
    dm_target_spec spec{};
    spec.sector_start = target.start_sector;
    spec.length = target.sector_count;
    spec.next = static_cast<__u32>(padded(target));
    target.type.copy(spec.target_type, sizeof(spec.target_type) - 1);
    message.store(at, spec);
    message.store_text(at + sizeof(spec), target.parameters);
    at += spec.next;
  }
  return message.run(control, DM_TABLE_LOAD);
}

// Loading makes work queues and caches in the kernel. It was once refused with ENOMEM when two sandboxes loaded
// theirs at a time, of which one got it (seen in tests/lab, Linux 6.1; 450 loads, three at a time, did not repeat it).
// A table that was refused has changed nothing.
void load_table(const Fd& control, const std::string& name, const std::vector<DmTarget>& table,
                bool read_only) {
  for (int left = limits::kDmLoadTries;;) {
    const int error = try_to_load_table(control, name, table, read_only);
    if (error == 0) return;
    if (error != ENOMEM || --left == 0) {
      errno = error;
      throw_errno("load the table of {} (the kernel's log says more)", name);
    }
    log::warn("the kernel found no memory for a device-mapper table; trying again", {{"device", name}});
    std::this_thread::sleep_for(limits::kDmLoadInterval);
  }
}

// With udev the link /dev/mapper/NAME comes by itself, a little later; without, nobody makes it.
void ensure_node(const std::string& name, dev_t device) {
  const std::string path = node_path(name);
  if (exists("/run/udev/control")) {
    const auto start = SteadyClock::now();
    while (!exists(path) && SteadyClock::now() - start < limits::kDmNodeWait)
      std::this_thread::sleep_for(limits::kDmRemoveInterval);
  }
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == device) return;
  ::unlink(path.c_str());  // left from a device of this name that is gone
  if (::mknod(path.c_str(), S_IFBLK | 0600, device) < 0) throw_errno("create {}", path);
}

// Asks for the version of a target, which makes the kernel load its module. (Since Linux 5.2.)
bool has_target(const Fd& control, const std::string& target) {
  DmCommand message(target, 0);
  return message.run(control, DM_GET_TARGET_VERSION) == 0;
}

}  // namespace

DmTarget snapshot_target(std::uint64_t sector_count, const std::string& origin, const std::string& store,
                         unsigned chunk_sectors) {
  // P: persistent; O: a full store does not become an invalid one.
  return {0, sector_count, "snapshot", fmt::format("{} {} PO {}", origin, store, chunk_sectors)};
}

DmSnapshotStore parse_snapshot_status(std::string_view text) {
  using State = DmSnapshotStore::State;
  text = trim(text);
  if (text == "Invalid" || text == "Merge failed") return {State::invalid, 0, 0};
  if (text == "Overflow") return {State::overflowed, 0, 0};
  const auto slash = text.find('/');
  const auto space = text.find(' ');
  if (slash != std::string_view::npos && space != std::string_view::npos && slash < space) {
    const auto used = parse_int<std::uint64_t>(text.substr(0, slash));
    const auto total = parse_int<std::uint64_t>(text.substr(slash + 1, space - slash - 1));
    if (used && total) return {State::usable, *used * kSectorBytes, *total * kSectorBytes};
  }
  throw_error(ErrorCode::internal, "the status of a snapshot device is \"{}\"", text);
}

DmTarget linear_target(std::uint64_t sector_count, const std::string& device, std::uint64_t offset_sectors) {
  return {0, sector_count, "linear", fmt::format("{} {}", device, offset_sectors)};
}

DmDevice DmDevice::create(const std::string& name, const std::vector<DmTarget>& table, bool read_only) {
  const Fd control = open_control();
  const dm_ioctl created = run_simple(control, DM_DEV_CREATE, name, 0, "create device").header();
  DmDevice device(name);  // from here on a failure removes it
  load_table(control, name, table, read_only);
  run_simple(control, DM_DEV_SUSPEND, name, 0,
             "resume device");  // without the suspend flag this means resume
  ensure_node(name, static_cast<dev_t>(created.dev));
  return device;
}

std::optional<DmDevice> DmDevice::adopt(const std::string& name) {
  const Fd control = open_control();
  DmCommand message(name, 0);
  const int error = message.run(control, DM_DEV_STATUS);
  if (error == ENXIO) return std::nullopt;
  if (error != 0) {
    errno = error;
    throw_errno("inspect device {}", name);
  }
  ensure_node(name, static_cast<dev_t>(message.header().dev));
  return DmDevice(name);
}

DmDevice& DmDevice::operator=(DmDevice&& other) noexcept {
  if (this != &other) {
    reset();
    name_ = other.release();
  }
  return *this;
}

DmInfo DmDevice::info() const {
  const dm_ioctl header = run_simple(open_control(), DM_DEV_STATUS, name_, 0, "inspect device").header();
  return {.name = name_,
          .major = ::gnu_dev_major(header.dev),
          .minor = ::gnu_dev_minor(header.dev),
          .open_count = header.open_count,
          .suspended = (header.flags & DM_SUSPEND_FLAG) != 0,
          .read_only = (header.flags & DM_READONLY_FLAG) != 0};
}

std::vector<DmTargetStatus> DmDevice::status() const {
  return query_targets(0, "ask for the status of device");
}

std::vector<DmTargetStatus> DmDevice::table() const {
  return query_targets(DM_STATUS_TABLE_FLAG, "ask for the table of device");
}

std::vector<DmTargetStatus> DmDevice::query_targets(std::uint32_t flags, const char* what) const {
  std::vector<DmTargetStatus> statuses;
  const auto answer = run_query(open_control(), DM_TABLE_STATUS, name_, what, flags);
  if (!answer) {
    errno = ENXIO;
    throw_errno("{} {}", what, name_);
  }
  const dm_ioctl header = answer->header();
  std::size_t at = header.data_start;
  for (unsigned i = 0; i < header.target_count; ++i) {
    const auto spec = answer->load<dm_target_spec>(at);
    statuses.push_back({std::string(spec.target_type, ::strnlen(spec.target_type, sizeof(spec.target_type))),
                        answer->text_at(at + sizeof(spec))});
    at = header.data_start + spec.next;  // in answers `next` counts from the first target
  }
  return statuses;
}

void DmDevice::suspend() {
  run_simple(open_control(), DM_DEV_SUSPEND, name_, DM_SUSPEND_FLAG, "suspend device");
}

void DmDevice::resume() {
  run_simple(open_control(), DM_DEV_SUSPEND, name_, 0, "resume device");
}

void DmDevice::remove() {
  if (name_.empty()) return;
  remove_dm_device(name_);
  name_.clear();
}

std::string DmDevice::release() noexcept {
  return std::exchange(name_, std::string());
}

void DmDevice::reset() noexcept {
  try {
    remove();
  } catch (const std::exception& error) {
    log::warn("mapped device stays", {{"device", name_}, {"error", error.what()}});
    name_.clear();
  }
}

bool remove_dm_device(const std::string& name) {
  const Fd control = open_control();
  const auto start = SteadyClock::now();
  for (;;) {
    DmCommand message(name, 0, sizeof(dm_ioctl) + 256);
    const int error = message.run(control, DM_DEV_REMOVE);
    if (error == 0) break;
    if (error == ENXIO) return false;
    if (error != EBUSY || SteadyClock::now() - start >= limits::kDmRemoveTimeout) {
      errno = error;
      throw_errno("remove device {}", name);
    }
    std::this_thread::sleep_for(limits::kDmRemoveInterval);
  }
  ::unlink(node_path(name).c_str());  // ours; udev's link goes by itself
  return true;
}

std::vector<std::string> list_dm_devices(std::string_view prefix) {
  std::vector<std::string> names;
  const auto answer = run_query(open_control(), DM_LIST_DEVICES, "", "list devices");
  if (!answer) return names;
  for (std::size_t at = answer->header().data_start; at + sizeof(dm_name_list) <= answer->size();) {
    const auto entry = answer->load<dm_name_list>(at);
    if (entry.dev == 0) break;  // the one entry of an empty list
    std::string name = answer->text_at(at + offsetof(dm_name_list, name));
    if (name.starts_with(prefix)) names.push_back(std::move(name));
    if (entry.next == 0) break;
    at += entry.next;
  }
  return names;
}

std::string device_mapper_problem(const std::vector<std::string>& targets) {
  try {
    const Fd control = open_control();
    DmCommand version("", 0);
    if (const int error = version.run(control, DM_VERSION))
      return fmt::format("device-mapper does not answer: {}", std::strerror(error));
    for (const std::string& target : targets)
      if (!has_target(control, target))
        return fmt::format("device-mapper has no target \"{}\" (modprobe dm_{})", target, target);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace wrenn::sys
