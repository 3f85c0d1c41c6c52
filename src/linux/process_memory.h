// The memory of another process, through /proc/PID/mem.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "linux/fd.h"
#include "linux/page_map.h"

namespace wrenn::sys {

// Needs the right to trace the process; writing goes through its read-only mappings too, and makes private
// pages its own as if it had written itself. Keeps meaning that process when its pid is recycled. Not
// thread-safe.
class ProcessMemory {
 public:
  // Absent when there is no such process. Throws SystemError.
  static std::optional<ProcessMemory> open(pid_t pid);

  // `address` is the process's. Throws SystemError (EIO: nothing is mapped there), Error(data_loss) when the
  // process has ended, which the kernel reports as end of file.
  void read(std::uint64_t address, std::span<std::byte> into);
  void write(std::uint64_t address, std::span<const std::byte> data);

  // Page runs, counted from `base`, to and from a file that holds them back to back from `file_offset` on;
  // returns the bytes copied. Throws as read() and write(), and what the file throws.
  std::uint64_t save(std::uint64_t base, std::span<const PageRun> runs, FdView file,
                     std::uint64_t file_offset = 0);
  std::uint64_t restore(std::uint64_t base, std::span<const PageRun> runs, FdView file,
                        std::uint64_t file_offset = 0);

 private:
  explicit ProcessMemory(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::vector<std::byte> buffer_;
};

}  // namespace wrenn::sys
