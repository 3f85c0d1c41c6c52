#include "agent/snapshot/memory_file.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>

#include "core/base/error.h"
#include "linux/file.h"
#include "linux/process_memory.h"
#include "linux/procfs.h"

// A machine maps its base file privately, so the kernel keeps the books for us: a page that the guest, or
// QEMU for it, has ever written is anonymous memory of the process, all others are still the file's. Only the
// former are read.
//
// A page that has become zero is dirty like any other and must end up zero in the new file, whatever the base
// has there: it becomes a hole. Leaving zero pages out would bring their old content back.

namespace wrenn::agent::snapshot {

namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;  // one read from the process

bool is_zero(std::span<const std::byte> page) noexcept {
  return page.front() == std::byte{0} && std::equal(page.begin() + 1, page.end(), page.begin());
}

void make_hole(sys::FdView file, std::uint64_t offset, std::uint64_t bytes) {
  if (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(bytes)) == 0)
    return;
  if (errno != EOPNOTSUPP) throw_errno("make a hole in a memory file");
  const std::vector<std::byte> zeros(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kChunkBytes)));
  for (std::uint64_t done = 0; done < bytes;) {
    const auto now = std::min<std::uint64_t>(bytes - done, zeros.size());
    sys::pwrite_full(file, std::span(zeros).first(static_cast<std::size_t>(now)), offset + done);
    done += now;
  }
}

// Where the machine maps its base: one stretch, however it is cut into kernel mappings.
sys::Mapping find_memory(const vmm::MachineRecord& machine) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(machine.memory_mib) << 20;
  const auto pid = static_cast<pid_t>(machine.pid);
  const auto mappings = sys::find_mappings(pid, machine.memory_file);
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
                machine.pid, machine.memory_file, machine.memory_mib);
  return whole;
}

}  // namespace

void append_stretches(std::span<const std::byte> data, std::size_t page_bytes, std::vector<Stretch>& out) {
  const std::size_t first = out.size();
  for (std::size_t at = 0; at + page_bytes <= data.size(); at += page_bytes) {
    const bool zero = is_zero(data.subspan(at, page_bytes));
    if (out.size() > first && out.back().zero == zero) {
      out.back().bytes += page_bytes;
    } else {
      out.push_back({at, page_bytes, zero});
    }
  }
}

MemoryWritten write_memory_file(const vmm::MachineRecord& machine, sys::FdView out) {
  const sys::Mapping memory = find_memory(machine);
  auto page_map = sys::PageMap::open(static_cast<pid_t>(machine.pid));
  auto process = sys::ProcessMemory::open(static_cast<pid_t>(machine.pid));
  if (!page_map || !process) throw_error(ErrorCode::data_loss, "the machine monitor {} is gone", machine.pid);

  sys::copy_sparse(sys::open_file(machine.memory_file, O_RDONLY), out);
  const std::uint64_t page = sys::page_size_bytes();
  MemoryWritten written;
  std::vector<std::byte> buffer(kChunkBytes);
  std::vector<Stretch> stretches;
  for (const sys::PageRun& run : page_map->dirty_pages(memory.start, memory.length())) {
    const std::uint64_t end = (run.first + run.count) * page;
    for (std::uint64_t at = run.first * page; at < end;) {
      const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(end - at, buffer.size()));
      const std::span<std::byte> data = std::span(buffer).first(now);
      process->read(memory.start + at, data);
      stretches.clear();
      append_stretches(data, static_cast<std::size_t>(page), stretches);
      for (const Stretch& stretch : stretches) {
        if (stretch.zero) {
          make_hole(out, at + stretch.offset, stretch.bytes);
          written.zero_bytes += stretch.bytes;
        } else {
          sys::pwrite_full(
              out,
              data.subspan(static_cast<std::size_t>(stretch.offset), static_cast<std::size_t>(stretch.bytes)),
              at + stretch.offset);
        }
      }
      written.dirty_bytes += now;
      at += now;
    }
  }
  return written;
}

}  // namespace wrenn::agent::snapshot
