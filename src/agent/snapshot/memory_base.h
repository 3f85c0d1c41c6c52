// The memory that machines start from, shared by all that start from the same: a file in memory which nobody
// can change any more, mapped privately by each VMM.
//
//   DIR/layers/memory-CHECKSUM ── load(), checked ──► sealed memfd ──► private mapping of clone 1, 2, 3, …
//
// Why not map the file on disk: QEMU opens the path that it is given for reading and writing, with the rights
// of a user of its own, and whoever escapes from one guest could then write what the others start from. A
// sealed memfd may be opened so and still not be written. Its price is that it is not page cache: it stays in
// memory while it is used.
//
// Functions block (load() for as long as reading the file takes), are for threads of the sys pool, and throw
// SystemError and Error.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/checksum.h"
#include "linux/fd.h"

namespace wrenn::agent::snapshot {

class MemoryBase {
 public:
  // Nothing but zeros: what a cold boot starts from.
  static std::shared_ptr<const MemoryBase> zeros(int memory_mib);
  // Throws Error(data_loss) when the file is missing, has the wrong size or does not match the checksum in
  // its name.
  static std::shared_ptr<const MemoryBase> load(const std::string& path, int memory_mib);

  sys::FdView fd() const noexcept { return fd_; }
  const std::string& path() const noexcept { return path_; }        // empty for zeros()
  const std::string& mapping() const noexcept { return mapping_; }  // how /proc/PID/maps calls it

 private:
  MemoryBase(sys::Fd fd, std::string path, std::string mapping)
      : fd_(std::move(fd)), path_(std::move(path)), mapping_(std::move(mapping)) {}
  sys::Fd fd_;
  std::string path_;
  std::string mapping_;
};

// The checksum of guest memory, as names of bases have it: over the pages that are not all zero, each with
// its number.
class MemoryChecksum {
 public:
  // Of memory of this size: less of the same pages is another memory.
  explicit MemoryChecksum(std::uint64_t memory_bytes) {
    checksum_.update(std::as_bytes(std::span(&memory_bytes, 1)));
  }
  // Whole pages, in the order of their offsets; zero ones are skipped here.
  void update(std::uint64_t offset, std::span<const std::byte> pages);
  std::string hex() const { return checksum_.hex(); }

 private:
  Checksum checksum_;
};

inline constexpr std::size_t kPageBytes = 4096;  // x86-64
bool is_zero(std::span<const std::byte> bytes) noexcept;

// A stretch of whole pages: all of it zero, or worth writing.
struct Stretch {
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t bytes = 0;
  bool zero = false;
};
// Cuts `data` (whole pages) into stretches of zero and other pages, in order, as few as possible.
std::vector<Stretch> cut_stretches(std::span<const std::byte> data);

}  // namespace wrenn::agent::snapshot
