#include "linux/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/scope_guard.h"

namespace wrenn::sys {

namespace {

// Repeats a call that a signal interrupted.
template <typename Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

void Fd::reset() noexcept {
  // Linux frees the number even when close() reports EINTR or EIO; a second try could close a stranger's
  // file.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Fd Fd::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw_errno("duplicate descriptor {}", fd_);
  return Fd(copy);
}

Fd open_file(const std::string& path, int flags, mode_t mode) {
  const int fd = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) throw_errno("open {}", path);
  return Fd::adopt(fd);
}

std::optional<Fd> try_open_file(const std::string& path, int flags, mode_t mode) {
  const int fd = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd >= 0) return Fd::adopt(fd);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("open {}", path);
}

Fd open_at(FdView directory, const std::string& name, int flags, mode_t mode) {
  const int fd = retry([&] { return ::openat(directory.get(), name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) throw_errno("open {}", name);
  return Fd::adopt(fd);
}

Fd open_directory(const std::string& path) {
  return open_file(path, O_RDONLY | O_DIRECTORY);
}

PipePair make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) throw_errno("create a pipe");
  return {Fd::adopt(fds[0]), Fd::adopt(fds[1])};
}

Fd make_memfd(const std::string& name) {
  const int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC);
  if (fd < 0) throw_errno("create memory file {}", name);
  return Fd::adopt(fd);
}

void read_full(FdView fd, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got = retry([&] { return ::read(fd.get(), into.data(), into.size()); });
    if (got < 0) throw_errno("read {} bytes", into.size());
    if (got == 0) throw_error(ErrorCode::data_loss, "end of file with {} bytes missing", into.size());
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

void pread_full(FdView fd, std::span<std::byte> into, std::uint64_t offset) {
  while (!into.empty()) {
    const ssize_t got =
        retry([&] { return ::pread(fd.get(), into.data(), into.size(), static_cast<off_t>(offset)); });
    if (got < 0) throw_errno("read {} bytes at offset {}", into.size(), offset);
    if (got == 0)
      throw_error(ErrorCode::data_loss, "end of file at offset {} with {} bytes missing", offset,
                  into.size());
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void write_full(FdView fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t put = retry([&] { return ::write(fd.get(), data.data(), data.size()); });
    if (put < 0) throw_errno("write {} bytes", data.size());
    if (put == 0) throw_error(ErrorCode::data_loss, "nothing takes the last {} bytes", data.size());
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

void write_full(FdView fd, std::string_view data) {
  write_full(fd, std::as_bytes(std::span(data.data(), data.size())));
}

void pwrite_full(FdView fd, std::span<const std::byte> data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t put =
        retry([&] { return ::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
    if (put < 0) throw_errno("write {} bytes at offset {}", data.size(), offset);
    // /proc/PID/mem says so when the process has ended; never loop on it.
    if (put == 0)
      throw_error(ErrorCode::data_loss, "nothing takes {} bytes at offset {}", data.size(), offset);
    data = data.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

std::string read_up_to(FdView fd, std::size_t max_bytes) {
  std::string text;
  while (text.size() < max_bytes) {
    const std::size_t have = text.size();
    // Files of /proc and /sys report size 0, so grow by what arrives rather than by what fstat() promises.
    text.resize(std::min(max_bytes, std::max<std::size_t>(4096, have * 2)));
    const ssize_t got = retry([&] { return ::read(fd.get(), text.data() + have, text.size() - have); });
    if (got < 0) throw_errno("read");
    text.resize(have + static_cast<std::size_t>(got));
    if (got == 0) break;
  }
  return text;
}

namespace {

std::string read_whole(FdView fd, const std::string& path, std::size_t max_bytes) {
  std::string text;
  try {
    text = read_up_to(fd, max_bytes + 1);
  } catch (const SystemError& error) {
    errno = error.errno_value();
    throw_errno("read {}", path);
  }
  if (text.size() > max_bytes)
    throw_error(ErrorCode::too_large, "{} holds more than {} bytes", path, max_bytes);
  return text;
}

}  // namespace

std::string read_file(const std::string& path, std::size_t max_bytes) {
  return read_whole(open_file(path, O_RDONLY), path, max_bytes);
}

std::optional<std::string> try_read_file(const std::string& path, std::size_t max_bytes) {
  const auto fd = try_open_file(path, O_RDONLY);
  if (!fd) return std::nullopt;
  return read_whole(*fd, path, max_bytes);
}

void write_existing(const std::string& path, std::string_view data) {
  if (const int error = try_write_existing(path, data)) {
    errno = error;
    throw_errno("write \"{}\" to {}", data, path);
  }
}

int try_write_existing(const std::string& path, std::string_view data) noexcept {
  const Fd fd = Fd::adopt(retry([&] { return ::open(path.c_str(), O_WRONLY | O_CLOEXEC); }));
  if (!fd.valid()) return errno;
  const ssize_t put = retry([&] { return ::write(fd.get(), data.data(), data.size()); });
  if (put < 0) return errno;
  return static_cast<std::size_t>(put) == data.size() ? 0 : EIO;
}

void write_file_atomic(const std::string& path, std::string_view data, mode_t mode) {
  std::string temporary = path + ".XXXXXX";
  Fd fd = Fd::adopt(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) throw_errno("create a temporary file beside {}", path);
  ScopeGuard cleanup([&] { ::unlink(temporary.c_str()); });
  try {
    write_full(fd, data);
  } catch (const SystemError& error) {
    errno = error.errno_value();
    throw_errno("write {}", temporary);
  }
  if (::fchmod(fd.get(), mode) < 0) throw_errno("set the mode of {}", temporary);
  if (::fsync(fd.get()) < 0) throw_errno("flush {}", temporary);
  if (::rename(temporary.c_str(), path.c_str()) < 0) throw_errno("rename {} to {}", temporary, path);
  cleanup.dismiss();
  fsync_dir(parent_of(path));
}

void fsync_dir(const std::string& path) {
  const Fd directory = open_directory(path);
  if (::fsync(directory.get()) < 0) throw_errno("flush directory {}", path);
}

}  // namespace wrenn::sys
