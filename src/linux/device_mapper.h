// Device-mapper devices through the kernel's ioctl interface; neither libdevmapper nor udev is needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

inline constexpr std::uint64_t kSectorBytes = 512;  // the unit of all tables

// One line of a table.
struct DmTarget {
  std::uint64_t start_sector = 0;
  std::uint64_t sector_count = 0;
  std::string type;        // "snapshot", "linear", …
  std::string parameters;  // as the target's documentation says
};

// A view on `origin` (a block device, never written) of `sector_count` sectors, with what is written kept in
// `store` (a block device that this view owns alone). Persistent: the store can be used again with the same
// origin. A store that is too small makes writes fail and keeps what it has; one that cannot be written makes
// the kernel mark it as invalid, which loses all of it. `chunk_sectors` 8 is 4 KiB.
DmTarget snapshot_target(std::uint64_t sector_count, const std::string& origin, const std::string& store,
                         unsigned chunk_sectors = 8);
DmTarget linear_target(std::uint64_t sector_count, const std::string& device,
                       std::uint64_t offset_sectors = 0);

struct DmInfo {
  std::string name;
  unsigned major = 0;
  unsigned minor = 0;
  int open_count = 0;
  bool suspended = false;
  bool read_only = false;
};

struct DmTargetStatus {
  std::string type;
  std::string text;  // snapshot: "USED/TOTAL METADATA" in sectors, or "Invalid", "Overflow"
};

// What a snapshot target says of its store. The kernel fills it from the front, so `used` is also where the
// next write goes.
struct DmSnapshotStore {
  enum class State {
    usable,
    overflowed,  // writes fail until the table is loaded again; nothing is lost
    invalid,     // nothing can be read, now or later
  };
  State state = State::usable;
  std::uint64_t used_bytes = 0;  // both 0 unless usable: the kernel does not tell
  std::uint64_t total_bytes = 0;
};
// Throws Error(internal) for a text that is none of a snapshot target.
DmSnapshotStore parse_snapshot_status(std::string_view text);

// Owns a mapped device and removes it.
class DmDevice {
 public:
  // Creates, loads the table and makes it live; then the node /dev/mapper/NAME exists. EBUSY when the name is
  // taken. Throws SystemError; nothing is left behind then.
  static DmDevice create(const std::string& name, const std::vector<DmTarget>& table, bool read_only = false);
  // Takes over an existing one; absent when there is none of this name. Throws SystemError.
  static std::optional<DmDevice> adopt(const std::string& name);

  ~DmDevice() { reset(); }
  DmDevice(DmDevice&& other) noexcept : name_(other.release()) {}
  DmDevice& operator=(DmDevice&& other) noexcept;
  DmDevice(const DmDevice&) = delete;
  DmDevice& operator=(const DmDevice&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::string path() const { return "/dev/mapper/" + name_; }
  DmInfo info() const;                         // throws SystemError
  std::vector<DmTargetStatus> status() const;  // throws SystemError
  // The parameters in effect, as the kernel spells them: devices as "MAJOR:MINOR". Throws SystemError.
  std::vector<DmTargetStatus> table() const;
  // Holds up writes and flushes what is on its way, until resume(). Throws SystemError.
  void suspend();
  void resume();
  // Tries again for some seconds while somebody has it open. Throws SystemError, EBUSY in the end; it then
  // stays ours.
  void remove();
  // Leaves it in place.
  std::string release() noexcept;

 private:
  explicit DmDevice(std::string name) noexcept : name_(std::move(name)) {}
  void reset() noexcept;
  std::vector<DmTargetStatus> query_targets(std::uint32_t flags, const char* what) const;
  std::string name_;  // empty when there is nothing to remove
};

// Why device-mapper or one of `targets` cannot be used here; empty when all is well. Lets the kernel load
// their modules.
std::string device_mapper_problem(const std::vector<std::string>& targets);
// Names of existing devices that begin with `prefix`. Throws SystemError.
std::vector<std::string> list_dm_devices(std::string_view prefix);
// Removes by name, as DmDevice::remove(); false when there is none.
bool remove_dm_device(const std::string& name);

}  // namespace wrenn::sys
