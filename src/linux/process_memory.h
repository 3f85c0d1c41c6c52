// The memory of another process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "linux/fd.h"

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

  struct Piece {
    std::uint64_t address = 0;
    std::size_t length = 0;  // bytes
  };
  // All pieces, back to back, which together are as long as `into`. Quicker than one by one. Throws as
  // read().
  void gather(std::span<const Piece> pieces, std::span<std::byte> into);

 private:
  ProcessMemory(pid_t pid, Fd fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  Fd fd_;
};

}  // namespace wrenn::sys
