#include "agent/snapshot/pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "linux/file.h"
#include "linux/page_map.h"
#include "linux/process_memory.h"
#include "linux/procfs.h"

namespace wrenn::agent::snapshot {

namespace {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::uint64_t kWriteBehindBytes =
    8 * 1024 * 1024;                            // so much is gathered before the disk is told to begin
constexpr std::uint64_t kMaxRuns = 1ULL << 24;  // of a damaged header's number, so that memory suffices

// In the byte order of the machine: device states are of this architecture, too.
struct Header {
  char magic[8];
  std::uint32_t page_bytes;
  std::uint32_t reserved;
  std::uint64_t guest_bytes;
  std::uint64_t runs;
  std::uint64_t pages;
  std::uint64_t data_offset;
};
constexpr char kMagic[8] = {'w', 'r', 'e', 'n', 'n', 'p', 'g', '1'};
struct Run {
  std::uint64_t first, count;  // pages
};

struct Index {
  std::uint64_t guest_bytes = 0;
  std::uint64_t pages = 0;
  std::vector<Run> runs;
  std::string chunk_checksums;  // Checksum::kBytes each
  std::uint64_t data_offset = 0;

  std::uint64_t data_bytes() const { return pages * kPageBytes; }
  std::uint64_t chunks() const { return (data_bytes() + kChunkBytes - 1) / kChunkBytes; }
};

std::string to_text(const Index& index) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.page_bytes = kPageBytes;
  header.guest_bytes = index.guest_bytes;
  header.runs = index.runs.size();
  header.pages = index.pages;
  header.data_offset = index.data_offset;
  std::string text(reinterpret_cast<const char*>(&header), sizeof header);
  text.append(reinterpret_cast<const char*>(index.runs.data()), index.runs.size() * sizeof(Run));
  return text + index.chunk_checksums;
}

ConstBytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

[[noreturn]] void throw_damaged(std::string_view what) {
  throw_error(
      ErrorCode::data_loss,
      "the saved memory was damaged on disk ({}); it cannot be used any more: destroy what it belongs to",
      what);
}

Index read_index(sys::FdView file, const std::string& checksum, std::uint64_t guest_bytes) {
  const std::uint64_t file_bytes = sys::file_size(file);
  Header header{};
  if (file_bytes < sizeof header) throw_damaged("it is cut short");
  sys::pread_full(file, std::as_writable_bytes(std::span(&header, 1)), 0);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.page_bytes != kPageBytes ||
      header.runs > kMaxRuns || header.pages > guest_bytes / kPageBytes)
    throw_damaged("its header is none");
  Index index;
  index.guest_bytes = header.guest_bytes;
  index.pages = header.pages;
  index.data_offset = header.data_offset;
  const std::uint64_t rest = header.runs * sizeof(Run) + index.chunks() * Checksum::kBytes;
  if (header.data_offset < sizeof header + rest || header.data_offset > file_bytes ||
      file_bytes - header.data_offset != index.data_bytes())
    throw_damaged("its size is wrong");
  std::string text(sizeof header + static_cast<std::size_t>(rest), '\0');
  sys::pread_full(file, std::as_writable_bytes(std::span(text.data(), text.size())), 0);
  if (Checksum::hex_of(bytes_of(text)) != checksum) throw_damaged("its index does not match the manifest");
  index.runs.resize(static_cast<std::size_t>(header.runs));
  std::memcpy(index.runs.data(), text.data() + sizeof header, index.runs.size() * sizeof(Run));
  index.chunk_checksums = text.substr(sizeof header + index.runs.size() * sizeof(Run));
  // What the checksum covers was written by us; this only keeps a bug from reaching outside of the guest.
  std::uint64_t pages = 0;
  for (const Run& run : index.runs) {
    if (run.first > guest_bytes / kPageBytes || run.count > guest_bytes / kPageBytes - run.first)
      throw_damaged("a run is outside of the guest");
    pages += run.count;
  }
  if (pages != index.pages || index.guest_bytes != guest_bytes) throw_damaged("its numbers do not agree");
  return index;
}

// Walks the runs in step with the data: which guest pages the next bytes of data are.
class RunCursor {
 public:
  explicit RunCursor(const std::vector<Run>& runs) : runs_(runs) {}
  // Calls `each(guest offset, position in the next `bytes` of data, length)`.
  template <typename F>
  void advance(std::uint64_t bytes, F each) {
    for (std::uint64_t done = 0; done < bytes;) {
      const Run& run = runs_[at_];
      const std::uint64_t left = run.count * kPageBytes - within_;
      const std::uint64_t now = std::min(left, bytes - done);
      each(run.first * kPageBytes + within_, done, now);
      done += now;
      within_ += now;
      if (within_ == run.count * kPageBytes) {
        ++at_;
        within_ = 0;
      }
    }
  }

 private:
  const std::vector<Run>& runs_;
  std::size_t at_ = 0;
  std::uint64_t within_ = 0;
};

std::size_t cut(std::uint64_t position) {
  return static_cast<std::size_t>(position);
}

// Where the machine maps its base: one stretch, however it is cut into kernel mappings.
sys::Mapping find_memory(const vmm::MachineRecord& machine) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(machine.memory_mib) << 20;
  const auto pid = static_cast<pid_t>(machine.pid);
  const auto mappings = sys::find_mappings(pid, machine.memory_mapping);
  sys::Mapping whole;
  for (const sys::Mapping& mapping : mappings) {
    if (mapping.file_offset == 0 && whole.length() == 0) {
      whole = mapping;
    } else if (mapping.start == whole.end && mapping.file_offset == whole.length()) {
      whole.end = mapping.end;
    }
  }
  const auto stat = sys::read_proc_stat(pid);
  if (!stat || stat->start_time != machine.start_time)
    throw_error(ErrorCode::data_loss, "the machine monitor {} is gone", machine.pid);
  if (whole.length() != bytes || whole.permissions.size() < 4 || whole.permissions[3] != 'p')
    throw_error(ErrorCode::data_loss, "the machine monitor {} does not map {} privately with {} MiB",
                machine.pid, machine.memory_mapping, machine.memory_mib);
  return whole;
}

sys::ProcessMemory open_memory(const vmm::MachineRecord& machine) {
  auto memory = sys::ProcessMemory::open(static_cast<pid_t>(machine.pid));
  if (!memory) throw_error(ErrorCode::data_loss, "the machine monitor {} is gone", machine.pid);
  return std::move(*memory);
}

void begin_writeback(sys::FdView file, std::uint64_t offset, std::uint64_t bytes) {
  // Only a hint: a file system that cannot leaves all to the fsync.
  (void)::sync_file_range(file.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                          SYNC_FILE_RANGE_WRITE);
}

}  // namespace

PagesSummary write_pages(const vmm::MachineRecord& machine, sys::FdView out) {
  const sys::Mapping memory = find_memory(machine);
  auto page_map = sys::PageMap::open(static_cast<pid_t>(machine.pid));
  if (!page_map) throw_error(ErrorCode::data_loss, "the machine monitor {} is gone", machine.pid);
  sys::ProcessMemory process = open_memory(machine);

  Index index;
  index.guest_bytes = memory.length();
  for (const sys::PageRun& run : page_map->dirty_pages(memory.start, memory.length())) {
    index.runs.push_back({run.first, run.count});
    index.pages += run.count;
  }
  const std::uint64_t index_bytes =
      sizeof(Header) + index.runs.size() * sizeof(Run) + index.chunks() * Checksum::kBytes;
  index.data_offset = (index_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (::ftruncate(out.get(), static_cast<off_t>(index.data_offset + index.data_bytes())) != 0)
    throw_errno("size a file for {} MiB of memory", index.data_bytes() >> 20);

  PagesSummary summary;
  summary.dirty_bytes = index.data_bytes();
  std::vector<std::byte> buffer(kChunkBytes);
  RunCursor cursor(index.runs);
  std::uint64_t behind = 0;
  for (std::uint64_t at = 0; at < index.data_bytes();) {
    const Bytes chunk =
        Bytes(buffer).first(cut(std::min<std::uint64_t>(index.data_bytes() - at, kChunkBytes)));
    cursor.advance(chunk.size(), [&](std::uint64_t guest, std::uint64_t position, std::uint64_t length) {
      process.read(memory.start + guest, chunk.subspan(cut(position), cut(length)));
    });
    index.chunk_checksums += Checksum::raw_of(chunk);
    for (const Stretch& stretch : cut_stretches(chunk)) {
      if (stretch.zero) {
        summary.zero_bytes += stretch.bytes;
      } else {
        sys::pwrite_full(out, chunk.subspan(cut(stretch.offset), cut(stretch.bytes)),
                         index.data_offset + at + stretch.offset);
      }
    }
    at += chunk.size();
    if (at - behind >= kWriteBehindBytes || at == index.data_bytes()) {
      begin_writeback(out, index.data_offset + behind, at - behind);
      behind = at;
    }
  }
  const std::string text = to_text(index);
  sys::pwrite_full(out, bytes_of(text), 0);
  summary.checksum = Checksum::hex_of(bytes_of(text));
  return summary;
}

void restore_pages(sys::FdView pages, const std::string& checksum, const vmm::MachineRecord& machine) {
  const sys::Mapping memory = find_memory(machine);
  sys::ProcessMemory process = open_memory(machine);
  const Index index = read_index(pages, checksum, memory.length());
  std::vector<std::byte> buffer(kChunkBytes);
  std::vector<std::byte> present(kPageBytes);
  RunCursor cursor(index.runs);
  for (std::uint64_t at = 0; at < index.data_bytes();) {
    const Bytes chunk =
        Bytes(buffer).first(cut(std::min<std::uint64_t>(index.data_bytes() - at, kChunkBytes)));
    sys::pread_full(pages, chunk, index.data_offset + at);
    const std::size_t number = cut(at / kChunkBytes);
    if (Checksum::raw_of(chunk) != index.chunk_checksums.substr(number * Checksum::kBytes, Checksum::kBytes))
      throw_damaged("its data does not match its checksums");
    cursor.advance(chunk.size(), [&](std::uint64_t guest, std::uint64_t position, std::uint64_t length) {
      const ConstBytes run = chunk.subspan(cut(position), cut(length));
      for (const Stretch& stretch : cut_stretches(run)) {
        const std::uint64_t address = memory.start + guest + stretch.offset;
        if (!stretch.zero) {
          process.write(address, run.subspan(cut(stretch.offset), cut(stretch.bytes)));
          continue;
        }
        // Where the base is zero as well there is nothing to write, and no page to spend.
        for (std::uint64_t page = 0; page < stretch.bytes; page += kPageBytes) {
          process.read(address + page, present);
          if (!is_zero(present))
            process.write(address + page, run.subspan(cut(stretch.offset + page), kPageBytes));
        }
      }
    });
    at += chunk.size();
  }
}

std::string merge_pages(const MemoryBase& base, sys::FdView pages, const std::string& checksum,
                        const std::string& directory, int memory_mib) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(memory_mib) << 20;
  Index index;
  if (pages.valid()) index = read_index(pages, checksum, bytes);
  const std::string draft = directory + "/.draft-" + random_hex(8);
  const sys::Fd out = sys::create_sparse_file(draft, bytes, 0400);
  ScopeGuard remove_draft([&] { ::unlink(draft.c_str()); });

  MemoryChecksum total(bytes);
  std::vector<std::byte> buffer(kChunkBytes);
  std::size_t at_run = 0;
  std::uint64_t data_at = index.data_offset;  // of the run at at_run
  for (std::uint64_t at = 0; at < bytes; at += kChunkBytes) {
    const Bytes chunk = Bytes(buffer).first(cut(std::min<std::uint64_t>(bytes - at, kChunkBytes)));
    sys::pread_full(base.fd(), chunk, at);
    // Runs are in order; one may begin before this chunk and end after it.
    for (; at_run < index.runs.size(); ++at_run) {
      const std::uint64_t first = index.runs[at_run].first * kPageBytes;
      const std::uint64_t end = first + index.runs[at_run].count * kPageBytes;
      if (first >= at + chunk.size()) break;
      const std::uint64_t from = std::max(first, at), to = std::min<std::uint64_t>(end, at + chunk.size());
      sys::pread_full(pages, chunk.subspan(cut(from - at), cut(to - from)), data_at + (from - first));
      if (end > at + chunk.size()) break;
      data_at += end - first;
    }
    total.update(at, chunk);
    for (const Stretch& stretch : cut_stretches(chunk))
      if (!stretch.zero)
        sys::pwrite_full(out, chunk.subspan(cut(stretch.offset), cut(stretch.bytes)), at + stretch.offset);
  }
  if (::fsync(out.get()) != 0) throw_errno("make {} durable", draft);
  const std::string path = directory + "/memory-" + total.hex();
  if (::rename(draft.c_str(), path.c_str()) != 0) throw_errno("rename {} to {}", draft, path);
  remove_draft.dismiss();
  sys::fsync_dir(directory);
  return path;
}

}  // namespace wrenn::agent::snapshot
