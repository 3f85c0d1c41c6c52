#include "envd/files/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/path_error.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

constexpr std::size_t kUnsizedBytes = 4 * 1024 * 1024;  // of a file whose size the kernel does not tell

}  // namespace

// O_NONBLOCK: a FIFO must not hold us up.
OpenFile open_regular(const std::string& path, PageCache cache) {
  OpenFile file;
  file.fd = sys::Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.fd.valid()) throw_path_error("open", path);
  struct stat info{};
  if (::fstat(file.fd.get(), &info) != 0) throw_path_error("look at", path);
  if (S_ISDIR(info.st_mode))
    throw_error(ErrorCode::invalid_argument, "path '{}' is a directory", sanitize_utf8(path));
  if (!S_ISREG(info.st_mode))
    throw_error(ErrorCode::invalid_argument, "path '{}' is not a regular file", sanitize_utf8(path));
  file.size = static_cast<std::uint64_t>(info.st_size);
  file.modified = info.st_mtim.tv_sec;
  if (file.size == 0) file.unsized_content = sys::read_up_to(file.fd, kUnsizedBytes);
  if (cache == PageCache::avoid && file.size >= limits::kTransferBytes) {
    const std::string same = fmt::format("/proc/self/fd/{}", file.fd.get());
    file.direct = sys::Fd::adopt(::open(same.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
  }
  return file;
}

std::size_t read_cached(const OpenFile& file, std::span<char> into, std::uint64_t offset) noexcept {
  iovec piece{into.data(), into.size()};
  const ssize_t got = ::preadv2(file.fd.get(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

void read_blocking(const OpenFile& file, std::span<char> into, std::uint64_t offset) {
  const bool direct = file.direct.valid() && fits_direct(into, offset);
  sys::pread_full(direct ? file.direct : file.fd, std::as_writable_bytes(into), offset);
}

}  // namespace wrenn::envd::files
