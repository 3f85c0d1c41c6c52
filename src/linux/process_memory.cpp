#include "linux/process_memory.h"

#include <fcntl.h>

#include <algorithm>

#include "core/base/error.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

// Gathers runs into pieces of at most `capacity` bytes, so that a file sees few large transfers however small
// the runs are. Calls `memory(address, offset in piece, bytes)` for each part and `flush(bytes)` for each
// full piece; `fill(bytes)` before the parts of a piece.
template <typename Fill, typename Memory, typename Flush>
std::uint64_t in_pieces(std::uint64_t base, std::span<const PageRun> runs, std::size_t capacity, Fill fill,
                        Memory memory, Flush flush) {
  const std::uint64_t page = page_size_bytes();
  std::uint64_t left = total_pages(runs) * page;
  const std::uint64_t total = left;
  std::size_t run = 0;
  std::uint64_t done_in_run = 0;  // bytes
  while (left > 0) {
    const std::size_t piece = std::min<std::uint64_t>(left, capacity);
    fill(piece);
    for (std::size_t used = 0; used < piece;) {
      const std::uint64_t run_bytes = runs[run].count * page;
      const std::size_t part = std::min<std::uint64_t>(run_bytes - done_in_run, piece - used);
      memory(base + runs[run].first * page + done_in_run, used, part);
      used += part;
      done_in_run += part;
      if (done_in_run == run_bytes) {
        ++run;
        done_in_run = 0;
      }
    }
    flush(piece);
    left -= piece;
  }
  return total;
}

}  // namespace

std::optional<ProcessMemory> ProcessMemory::open(pid_t pid) {
  auto fd = try_open_file(fmt::format("/proc/{}/mem", pid), O_RDWR);
  if (!fd) return std::nullopt;
  return ProcessMemory(std::move(*fd));
}

void ProcessMemory::read(std::uint64_t address, std::span<std::byte> into) {
  pread_full(fd_, into, address);
}

void ProcessMemory::write(std::uint64_t address, std::span<const std::byte> data) {
  pwrite_full(fd_, data, address);
}

std::uint64_t ProcessMemory::save(std::uint64_t base, std::span<const PageRun> runs, FdView file,
                                  std::uint64_t file_offset) {
  buffer_.resize(limits::kCopyChunkBytes);
  const std::span buffer(buffer_);
  return in_pieces(
      base, runs, buffer.size(), [](std::size_t) {},
      [&](std::uint64_t address, std::size_t at, std::size_t bytes) {
        read(address, buffer.subspan(at, bytes));
      },
      [&](std::size_t bytes) {
        pwrite_full(file, buffer.first(bytes), file_offset);
        file_offset += bytes;
      });
}

std::uint64_t ProcessMemory::restore(std::uint64_t base, std::span<const PageRun> runs, FdView file,
                                     std::uint64_t file_offset) {
  buffer_.resize(limits::kCopyChunkBytes);
  const std::span buffer(buffer_);
  return in_pieces(
      base, runs, buffer.size(),
      [&](std::size_t bytes) {
        pread_full(file, buffer.first(bytes), file_offset);
        file_offset += bytes;
      },
      [&](std::uint64_t address, std::size_t at, std::size_t bytes) {
        write(address, buffer.subspan(at, bytes));
      },
      [](std::size_t) {});
}

}  // namespace wrenn::sys
