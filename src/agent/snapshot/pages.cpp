#include "agent/snapshot/pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "agent/limits.h"
#include "core/async/slices.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "linux/file.h"
#include "linux/process_memory.h"

namespace wrenn::agent::snapshot {

namespace {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::uint64_t kSliceChunks = 2;  // less is not worth a thread
constexpr std::uint64_t kCopyThreads = 4;  // the memory's bandwidth is everybody's
constexpr std::uint64_t kWriteBehindBytes =
    8 * 1024 * 1024;                            // so much is gathered before the disk is told to begin
constexpr std::uint64_t kMaxRuns = 1ULL << 24;  // of a damaged header's number, so that memory suffices

std::size_t cut(std::uint64_t position) {
  return static_cast<std::size_t>(position);
}

// In the byte order of the machine: device states are of this architecture, too.
struct Header {
  char magic[8];
  std::uint32_t page_bytes;
  std::uint32_t reserved;
  std::uint64_t guest_bytes;
  std::uint64_t runs;
  std::uint64_t pages;
};
constexpr char kMagic[8] = {'w', 'r', 'e', 'n', 'n', 'p', 'g', '2'};
constexpr std::uint64_t kDataOffset = kPageBytes;
using Run = sys::PageRun;
static_assert(sizeof(Run) == 16 && kPageBytes >= sizeof(Header));

struct Index {
  std::uint64_t guest_bytes = 0;
  std::uint64_t pages = 0;
  std::vector<Run> runs;
  std::string chunk_checksums;  // Checksum::kBytes each

  std::uint64_t data_bytes() const { return pages * kPageBytes; }
  std::uint64_t chunks() const { return (data_bytes() + kChunkBytes - 1) / kChunkBytes; }
};

ConstBytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Writes header and index around the data, and gives their checksum.
std::string write_index(const Index& index, sys::FdView out) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.page_bytes = kPageBytes;
  header.guest_bytes = index.guest_bytes;
  header.runs = index.runs.size();
  header.pages = index.pages;
  std::string text(reinterpret_cast<const char*>(&header), sizeof header);
  text.append(reinterpret_cast<const char*>(index.runs.data()), index.runs.size() * sizeof(Run));
  text += index.chunk_checksums;
  sys::pwrite_full(out, bytes_of(text).first(sizeof header), 0);
  sys::pwrite_full(out, bytes_of(text).subspan(sizeof header), kDataOffset + index.data_bytes());
  return Checksum::hex_of(bytes_of(text));
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
  if (file_bytes < kDataOffset) throw_damaged("it is cut short");
  sys::pread_full(file, std::as_writable_bytes(std::span(&header, 1)), 0);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.page_bytes != kPageBytes ||
      header.runs > kMaxRuns || header.pages > guest_bytes / kPageBytes)
    throw_damaged("its header is none");
  Index index;
  index.guest_bytes = header.guest_bytes;
  index.pages = header.pages;
  const std::uint64_t rest = header.runs * sizeof(Run) + index.chunks() * Checksum::kBytes;
  if (file_bytes != kDataOffset + index.data_bytes() + rest) throw_damaged("its size is wrong");
  std::string text(sizeof header + cut(rest), '\0');
  std::memcpy(text.data(), &header, sizeof header);
  const Bytes tail = std::as_writable_bytes(std::span(text.data(), text.size())).subspan(sizeof header);
  sys::pread_full(file, tail, kDataOffset + index.data_bytes());
  if (Checksum::hex_of(bytes_of(text)) != checksum) throw_damaged("its index does not match the manifest");
  index.runs.resize(cut(header.runs));
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
  // Begins at `position` of the data.
  RunCursor(const std::vector<Run>& runs, std::uint64_t position) : runs_(runs) {
    advance(position, [](std::uint64_t, std::uint64_t, std::uint64_t) {});
  }
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

void in_slices(std::uint64_t chunks,
               const std::function<void(std::uint64_t first, std::uint64_t end)>& work) {
  async::run_slices(chunks, {kSliceChunks, kCopyThreads}, work);
}

// Those of `runs` that are not among `known`; both in order.
std::vector<Run> without(const std::vector<Run>& runs, const std::vector<Run>& known) {
  std::vector<Run> left;
  auto at = known.begin();
  for (Run run : runs) {
    while (run.count > 0) {
      while (at != known.end() && at->first + at->count <= run.first) ++at;
      if (at == known.end() || at->first >= run.first + run.count) {
        left.push_back(run);
        break;
      }
      if (at->first > run.first) left.push_back({run.first, at->first - run.first});
      const std::uint64_t end = std::min(at->first + at->count, run.first + run.count);
      run = {end, run.first + run.count - end};
    }
  }
  return left;
}

}  // namespace

PageWriter::PageWriter(vmm::MachineRecord machine, sys::FdView out)
    : machine_(std::move(machine)), out_(out), memory_(find_memory(machine_)) {}

// Pages that are the machine's own by now get their place in the file. None loses its place: one that is the
// base's again is written with the base's content.
void PageWriter::look() {
  auto page_map = sys::PageMap::open(static_cast<pid_t>(machine_.pid));
  if (!page_map) throw_error(ErrorCode::data_loss, "the machine monitor {} is gone", machine_.pid);
  std::vector<Run> known = runs_;
  std::sort(known.begin(), known.end());
  const std::vector<Run> fresh = without(page_map->dirty_pages(memory_.start, memory_.length()), known);
  runs_.insert(runs_.end(), fresh.begin(), fresh.end());
  pages_ += sys::total_pages(fresh);
  chunks_.resize(cut((data_bytes() + kChunkBytes - 1) / kChunkBytes));
  if (::ftruncate(out_.get(), static_cast<off_t>(kDataOffset + data_bytes())) != 0)
    throw_errno("size a file for {} MiB of memory", data_bytes() >> 20);
}

// The chunks whose content is not in the file yet.
void PageWriter::copy(std::uint64_t first, std::uint64_t end) {
  sys::ProcessMemory process = open_memory(machine_);
  std::vector<std::byte> buffer(kChunkBytes);
  std::vector<sys::ProcessMemory::Piece> pieces;
  RunCursor cursor(runs_, first * kChunkBytes);
  std::uint64_t behind = first * kChunkBytes;
  for (std::uint64_t number = first; number < end; ++number) {
    const std::uint64_t at = number * kChunkBytes;
    const Bytes data = Bytes(buffer).first(cut(std::min<std::uint64_t>(data_bytes() - at, kChunkBytes)));
    pieces.clear();
    cursor.advance(data.size(), [&](std::uint64_t guest, std::uint64_t, std::uint64_t length) {
      pieces.push_back({memory_.start + guest, cut(length)});
    });
    process.gather(pieces, data);
    Chunk& chunk = chunks_[cut(number)];
    std::string checksum = Checksum::raw_of(data);
    if (chunk.bytes == data.size() && chunk.checksum == checksum) continue;
    const bool has_content = chunk.bytes != 0;  // then zeros must be written, too
    if (!has_content) sys::require_room(out_, data.size(), limits::kDiskLeaveBytes);
    chunk = {data.size(), 0, std::move(checksum)};
    for (const Stretch& stretch : cut_stretches(data)) {
      if (stretch.zero) chunk.zero_bytes += stretch.bytes;
      if (!stretch.zero || has_content)
        sys::pwrite_full(out_, data.subspan(cut(stretch.offset), cut(stretch.bytes)),
                         kDataOffset + at + stretch.offset);
    }
    if (at + data.size() - behind >= kWriteBehindBytes || number + 1 == end) {
      begin_writeback(out_, kDataOffset + behind, at + data.size() - behind);
      behind = at + data.size();
    }
  }
}

void PageWriter::copy_ahead() {
  look();
  in_slices(chunks_.size(), [this](std::uint64_t first, std::uint64_t end) { copy(first, end); });
}

PagesSummary PageWriter::finish() {
  copy_ahead();
  PagesSummary summary;
  Index index;
  index.guest_bytes = memory_.length();
  index.pages = pages_;
  index.runs = runs_;
  for (const Chunk& chunk : chunks_) {
    index.chunk_checksums += chunk.checksum;
    summary.zero_bytes += chunk.zero_bytes;
  }
  summary.dirty_bytes = data_bytes();
  summary.checksum = write_index(index, out_);
  return summary;
}

void restore_pages(sys::FdView pages, const std::string& checksum, const vmm::MachineRecord& machine) {
  const sys::Mapping memory = find_memory(machine);
  const Index index = read_index(pages, checksum, memory.length());
  const auto restore = [&](std::uint64_t first, std::uint64_t end) {
    sys::ProcessMemory process = open_memory(machine);
    std::vector<std::byte> buffer(kChunkBytes);
    std::vector<std::byte> present(kPageBytes);
    RunCursor cursor(index.runs, first * kChunkBytes);
    for (std::uint64_t number = first; number < end; ++number) {
      const std::uint64_t at = number * kChunkBytes;
      const Bytes chunk =
          Bytes(buffer).first(cut(std::min<std::uint64_t>(index.data_bytes() - at, kChunkBytes)));
      sys::pread_full(pages, chunk, kDataOffset + at);
      if (Checksum::raw_of(chunk) !=
          index.chunk_checksums.substr(cut(number) * Checksum::kBytes, Checksum::kBytes))
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
    }
  };
  in_slices(index.chunks(), restore);
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
  struct Placed {
    std::uint64_t first, end;  // guest bytes
    std::uint64_t data_at;
  };
  std::vector<Placed> runs;
  std::uint64_t data_at = kDataOffset;
  for (const Run& run : index.runs) {
    runs.push_back({run.first * kPageBytes, (run.first + run.count) * kPageBytes, data_at});
    data_at += run.count * kPageBytes;
  }
  std::sort(runs.begin(), runs.end(), [](const Placed& a, const Placed& b) { return a.first < b.first; });
  auto run = runs.begin();
  for (std::uint64_t at = 0; at < bytes; at += kChunkBytes) {
    const Bytes chunk = Bytes(buffer).first(cut(std::min<std::uint64_t>(bytes - at, kChunkBytes)));
    sys::pread_full(base.fd(), chunk, at);
    // One may begin before this chunk and end after it.
    for (; run != runs.end() && run->first < at + chunk.size(); ++run) {
      const std::uint64_t from = std::max(run->first, at),
                          to = std::min<std::uint64_t>(run->end, at + chunk.size());
      sys::pread_full(pages, chunk.subspan(cut(from - at), cut(to - from)),
                      run->data_at + (from - run->first));
      if (run->end > at + chunk.size()) break;
    }
    total.update(at, chunk);
    if (!is_zero(chunk)) sys::require_room(out, chunk.size(), limits::kDiskLeaveBytes);
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
