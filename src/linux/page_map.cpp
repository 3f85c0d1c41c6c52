#include "linux/page_map.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

constexpr std::uint64_t kPresent = 1ULL << 63;
constexpr std::uint64_t kSwapped = 1ULL << 62;
constexpr std::uint64_t kFileOrShared = 1ULL << 61;

// PAGEMAP_SCAN of <linux/fs.h>, spelled out because the headers of a 6.1 distribution lack it.
struct ScanRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};
struct ScanArguments {
  std::uint64_t size;
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;
  std::uint64_t regions;
  std::uint64_t region_count;
  std::uint64_t max_pages;
  std::uint64_t category_inverted;
  std::uint64_t category_mask;
  std::uint64_t category_anyof_mask;
  std::uint64_t return_mask;
};
constexpr unsigned long kScanCommand = _IOWR('f', 16, ScanArguments);
constexpr std::uint64_t kScanFile = 1 << 2;
constexpr std::uint64_t kScanPresent = 1 << 3;
constexpr std::uint64_t kScanSwapped = 1 << 4;
constexpr std::size_t kScanRegions = 4096;

void append_run(std::vector<PageRun>& runs, std::uint64_t first, std::uint64_t count) {
  if (!runs.empty() && runs.back().first + runs.back().count == first)
    runs.back().count += count;
  else
    runs.push_back({first, count});
}

}  // namespace

std::uint64_t page_size_bytes() noexcept {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::uint64_t total_pages(std::span<const PageRun> runs) noexcept {
  std::uint64_t sum = 0;
  for (const PageRun& run : runs) sum += run.count;
  return sum;
}

void append_dirty_runs(std::span<const std::uint64_t> entries, std::uint64_t first_page,
                       std::vector<PageRun>& runs) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    if ((entries[i] & (kPresent | kSwapped)) != 0 && (entries[i] & kFileOrShared) == 0)
      append_run(runs, first_page + i, 1);
}

std::optional<PageMap> PageMap::open(pid_t pid) {
  auto fd = try_open_file(fmt::format("/proc/{}/pagemap", pid), O_RDONLY);
  if (!fd) return std::nullopt;
  return PageMap(std::move(*fd));
}

std::vector<PageRun> PageMap::dirty_pages(std::uint64_t start, std::uint64_t length) {
  if (auto runs = scan(start, length)) return std::move(*runs);
  return read_entries(start, length);
}

std::optional<std::vector<PageRun>> PageMap::scan(std::uint64_t start, std::uint64_t length) {
  std::vector<PageRun> runs;
  std::vector<ScanRegion> regions(kScanRegions);
  ScanArguments arguments{};
  arguments.size = sizeof(arguments);
  arguments.end = start + length;
  arguments.regions = reinterpret_cast<std::uintptr_t>(regions.data());
  arguments.region_count = regions.size();
  arguments.category_inverted = kScanFile;
  arguments.category_mask = kScanFile;  // required after the inversion: not of a file
  arguments.category_anyof_mask = kScanPresent | kScanSwapped;
  arguments.return_mask =
      kScanPresent;  // regions with equal answers come as one; we only want where they are
  for (std::uint64_t position = start; position < arguments.end;) {
    arguments.start = position;
    const int found = ::ioctl(fd_.get(), kScanCommand, &arguments);
    if (found < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOTTY && position == start) return std::nullopt;
      throw_errno("scan the page tables from {:#x}", position);
    }
    for (const ScanRegion& region : std::span(regions).first(static_cast<std::size_t>(found)))
      append_run(runs, (region.start - start) / page_size_bytes(),
                 (region.end - region.start) / page_size_bytes());
    // Not walk_end: kernels leave it at an earlier position when a walk ends after an internal restart (seen
    // with 6.18), which would report the last runs twice.
    if (static_cast<std::size_t>(found) < regions.size()) break;
    position = regions.back().end;
  }
  return runs;
}

std::vector<PageRun> PageMap::read_entries(std::uint64_t start, std::uint64_t length) {
  std::vector<PageRun> runs;
  const std::uint64_t pages = length / page_size_bytes();
  buffer_.resize(limits::kCopyChunkBytes / sizeof(std::uint64_t));
  for (std::uint64_t page = 0; page < pages;) {
    const std::size_t count = std::min<std::uint64_t>(pages - page, buffer_.size());
    const std::span entries = std::span(buffer_).first(count);
    pread_full(fd_, std::as_writable_bytes(entries),
               (start / page_size_bytes() + page) * sizeof(std::uint64_t));
    append_dirty_runs(entries, page, runs);
    page += count;
  }
  return runs;
}

}  // namespace wrenn::sys
