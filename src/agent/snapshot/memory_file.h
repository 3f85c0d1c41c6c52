// The memory of a paused machine as a file: a copy of its base with the pages on top that the machine has
// made its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agent/snapshot/snapshot.h"
#include "linux/page_map.h"

namespace wrenn::agent::snapshot {

// A stretch of bytes within a page run: all of it zero, or worth writing.
struct Stretch {
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t bytes = 0;
  bool zero = false;
};
// Cuts `data` (whole pages) into stretches of zero and other pages, in order, as few as possible. Appends to
// `out`.
void append_stretches(std::span<const std::byte> data, std::size_t page_bytes, std::vector<Stretch>& out);

// Writes to `out`, a new file. Throws Error(data_loss) when the process is gone or maps another base.
MemoryWritten write_memory_file(const vmm::MachineRecord& machine, sys::FdView out);

}  // namespace wrenn::agent::snapshot
