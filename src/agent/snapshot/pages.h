// The pages by which a machine's memory differs from its base, as a file:
//
//   offset 0      header
//   4096          the pages of all runs, back to back; pages that are all zero may be holes
//   after them    the runs of pages, then one checksum for every MiB of data: with the header, the index
//
// The order of the runs is that in which their pages were found: first what had changed while the machine
// still ran, then the rest.
//
// A VMM maps its base privately, so the kernel keeps the books for us: a page that the guest, or the VMM for
// it, has ever written is anonymous memory of the process; all others are still the base's and are not looked
// at. A page that has become zero is in a run like any other: leaving it out would bring the base's content
// back.
//
// The index is covered by a checksum that write() returns and restore() wants back; it belongs into the
// manifest.
//
// Functions block in proportion to the pages and are for threads of the sys pool. They throw SystemError and
// Error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/snapshot/memory_base.h"
#include "agent/vmm/machine.h"
#include "linux/fd.h"
#include "linux/page_map.h"
#include "linux/procfs.h"

namespace wrenn::agent::snapshot {

struct PagesSummary {
  std::uint64_t dirty_bytes = 0;  // pages in the file
  std::uint64_t zero_bytes = 0;   // of these, all zero
  std::string checksum;           // of the index: 32 hex digits
};

// Copies them in one step or in two, of which the first is for the machine's running time: it takes most of
// the time, and finish() only compares then.
class PageWriter {
 public:
  // `out`: an empty file open for reading and writing, which outlives this. Throws Error(data_loss) when the
  // process is gone or does not map its base.
  PageWriter(vmm::MachineRecord machine, sys::FdView out);
  // May be left out, or be called again. Throws as the constructor, and what writing throws.
  void copy_ahead();
  // The machine stands still. What is written is on its way to the disk when this returns, so that an fsync
  // after it is short. Throws as copy_ahead(). Called once.
  PagesSummary finish();

 private:
  struct Chunk {  // of the data, limits apart as large as the buffers
    std::uint64_t bytes = 0, zero_bytes = 0;
    std::string checksum;
  };
  void look();
  void copy(std::uint64_t first, std::uint64_t end);
  std::uint64_t data_bytes() const noexcept { return pages_ * kPageBytes; }

  vmm::MachineRecord machine_;
  sys::FdView out_;
  sys::Mapping memory_;
  std::vector<sys::PageRun> runs_;  // in the order of the data
  std::uint64_t pages_ = 0;
  std::vector<Chunk> chunks_;
};

// Into a machine that was started on the same base and has not run. Throws Error(data_loss) when `pages` does
// not match `checksum`, or itself.
void restore_pages(sys::FdView pages, const std::string& checksum, const vmm::MachineRecord& machine);

// Base and pages as one memory image: writes DIRECTORY/memory-CHECKSUM (mode 0400, durable, kept when it
// exists already) and returns its path. `pages` may be unset: the base alone. Throws as restore_pages().
std::string merge_pages(const MemoryBase& base, sys::FdView pages, const std::string& checksum,
                        const std::string& directory, int memory_mib);

}  // namespace wrenn::agent::snapshot
