#include "linux/process_memory.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"

namespace wrenn::sys {

std::optional<ProcessMemory> ProcessMemory::open(pid_t pid) {
  auto fd = try_open_file(fmt::format("/proc/{}/mem", pid), O_RDWR);
  if (!fd) return std::nullopt;
  return ProcessMemory(pid, std::move(*fd));
}

void ProcessMemory::read(std::uint64_t address, std::span<std::byte> into) {
  pread_full(fd_, into, address);
}

// process_vm_readv() copies once, /proc/PID/mem twice and page by page: 27 ms against 50 for 96 MiB
// [measured, Linux 6.18]. Only the descriptor keeps meaning the process, though: it tells whether that still
// lives.
void ProcessMemory::gather(std::span<const Piece> pieces, std::span<std::byte> into) {
  std::vector<iovec> from;
  from.reserve(pieces.size());
  for (const Piece& piece : pieces)
    from.push_back({reinterpret_cast<void*>(static_cast<std::uintptr_t>(piece.address)), piece.length});
  std::size_t done = 0;
  for (std::size_t at = 0; at < from.size();) {
    const std::size_t count = std::min<std::size_t>(from.size() - at, IOV_MAX);
    std::size_t wanted = 0;
    for (std::size_t i = at; i < at + count; ++i) wanted += from[i].iov_len;
    iovec to{into.data() + done, wanted};
    const ssize_t got = ::process_vm_readv(pid_, &to, 1, &from[at], count, 0);
    if (got < 0 || static_cast<std::size_t>(got) != wanted) break;
    done += wanted;
    at += count;
  }
  std::byte alive{};
  if (!pieces.empty()) read(pieces.front().address, std::span(&alive, 1));
  if (done == into.size()) return;
  done = 0;
  for (const Piece& piece : pieces) {
    read(piece.address, into.subspan(done, piece.length));
    done += piece.length;
  }
}

void ProcessMemory::write(std::uint64_t address, std::span<const std::byte> data) {
  pwrite_full(fd_, data, address);
}

}  // namespace wrenn::sys
