// Loop devices: a file as a block device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

struct LoopOptions {
  bool read_only = false;
  bool direct_io = false;  // past the page cache of the backing filesystem; falls back where it cannot
  // The kernel detaches when the last user closes the device. With a device-mapper table on top the device
  // lives exactly as long as the table, even if we die.
  bool auto_clear = false;
};

struct LoopInfo {
  std::string path;          // "/dev/loop3"
  std::string backing_file;  // as the kernel knows it; " (deleted)" appended when it was removed
  bool read_only = false;
  bool auto_clear = false;
};

// Owns an attached loop device and detaches it.
class LoopDevice {
 public:
  // Throws SystemError; EBUSY when no free device could be had.
  static LoopDevice attach(const std::string& file, const LoopOptions& options);
  // Takes over one attached earlier, by "/dev/loopN". Absent when nothing is attached there. Throws
  // SystemError.
  static std::optional<LoopDevice> adopt(const std::string& path);

  ~LoopDevice() { reset(); }
  LoopDevice(LoopDevice&& other) noexcept;
  LoopDevice& operator=(LoopDevice&& other) noexcept;
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const noexcept { return path_; }
  FdView fd() const noexcept { return fd_; }
  std::uint64_t size_bytes() const;  // throws SystemError
  // What others still have open stays attached until they close it. Throws SystemError.
  void detach();
  // Leaves it attached (with auto_clear: as long as somebody else has it open).
  void release() noexcept;

 private:
  LoopDevice(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  void reset() noexcept;
  std::string path_;  // empty when there is nothing to detach
  Fd fd_;
};

// All attached devices of this machine. Throws SystemError.
std::vector<LoopInfo> list_loop_devices();
// Whether loop devices can be made here: /dev/loop-control opens.
bool loop_devices_available() noexcept;

}  // namespace wrenn::sys
