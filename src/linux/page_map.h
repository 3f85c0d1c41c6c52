// Which pages of a private file mapping a process has made its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

// `count` pages from page `first`, counted from the start of the range that was asked about.
struct PageRun {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  auto operator<=>(const PageRun&) const = default;
};

std::uint64_t page_size_bytes() noexcept;
std::uint64_t total_pages(std::span<const PageRun> runs) noexcept;

// Appends the dirty pages among `entries` of /proc/PID/pagemap, the first of which is page `first_page`; a
// run that continues the last one of `runs` is joined to it. Dirty is: present (bit 63) or swapped (62), and
// neither of a file nor shared (61 clear), that is, a private copy of its own.
void append_dirty_runs(std::span<const std::uint64_t> entries, std::uint64_t first_page,
                       std::vector<PageRun>& runs);

// Reads the page tables of one process. Needs the right to trace it. Keeps meaning that process when its pid
// is recycled. Not thread-safe.
class PageMap {
 public:
  // Absent when there is no such process. Throws SystemError.
  static std::optional<PageMap> open(pid_t pid);

  // The dirty pages in `length` bytes at address `start` (both multiples of the page size), as runs in order.
  // The process should be stopped: otherwise each page is judged at its own moment. Throws SystemError, ESRCH
  // when the process has ended.
  std::vector<PageRun> dirty_pages(std::uint64_t start, std::uint64_t length);

  // The two ways of asking, for tests and measurements; dirty_pages() takes the first that the kernel has.
  // PAGEMAP_SCAN (Linux 6.7): absent when the kernel has no such ioctl.
  std::optional<std::vector<PageRun>> scan(std::uint64_t start, std::uint64_t length);
  std::vector<PageRun> read_entries(std::uint64_t start, std::uint64_t length);

 private:
  explicit PageMap(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::vector<std::uint64_t> buffer_;
};

}  // namespace wrenn::sys
