#include "linux/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

struct stat stat_of(FdView fd) {
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) throw_errno("stat descriptor {}", fd.get());
  return status;
}

// An iterator over the entries of an open directory; takes the descriptor.
Directory list(Fd fd, const std::string& path) {
  DIR* directory = ::fdopendir(fd.get());
  if (directory == nullptr) throw_errno("list {}", path);
  (void)fd.release();
  return Directory(directory);
}

bool is_dot(const char* name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

// Next entry, or absent at the end.
const char* next_name(DIR* directory, const std::string& path) {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) {
      if (errno != 0) throw_errno("list {}", path);
      return nullptr;
    }
    if (!is_dot(entry->d_name)) return entry->d_name;
  }
}

std::uint64_t free_bytes(const struct statvfs& status) {
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

// copy_file_range() where both ends allow it, else through memory. Both keep to [offset, offset + length).
void copy_segment(FdView source, FdView destination, std::uint64_t offset, std::uint64_t length) {
  while (length > 0) {
    auto in = static_cast<off_t>(offset);
    auto out = in;
    const ssize_t copied = ::copy_file_range(source.get(), &in, destination.get(), &out, length, 0);
    if (copied > 0) {
      offset += static_cast<std::uint64_t>(copied);
      length -= static_cast<std::uint64_t>(copied);
      continue;
    }
    if (copied == 0) return;  // the source shrank meanwhile
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
      throw_errno("copy file content");
    std::vector<std::byte> buffer(std::min<std::uint64_t>(length, limits::kCopyChunkBytes));
    pread_full(source, buffer, offset);
    pwrite_full(destination, buffer, offset);
    offset += buffer.size();
    length -= buffer.size();
  }
}

// Removes the entries of an open directory. `device` stops us from descending into something mounted there.
void remove_entries(Fd fd, const std::string& path, dev_t device, int depth) {
  if (depth > limits::kTreeDepth) {
    errno = ELOOP;
    throw_errno("remove {}: deeper than {} directories", path, limits::kTreeDepth);
  }
  const Directory directory = list(std::move(fd), path);
  const int at = ::dirfd(directory.get());
  while (const char* name = next_name(directory.get(), path)) {
    const std::string child = path + "/" + name;
    if (::unlinkat(at, name, 0) == 0 || errno == ENOENT) continue;
    // Linux says EISDIR for a directory, POSIX allows EPERM.
    if (errno != EISDIR && errno != EPERM) throw_errno("remove {}", child);
    const int raw = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (raw < 0 && errno == ENOENT) continue;  // somebody else removes it, too
    if (raw < 0) throw_errno("remove {}", child);
    Fd below = Fd::adopt(raw);
    if (stat_of(below).st_dev != device) {
      errno = EXDEV;
      throw_errno("remove {}: something is mounted there", child);
    }
    remove_entries(std::move(below), child, device, depth + 1);
    if (::unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT) throw_errno("remove {}", child);
  }
}

std::uint64_t allocated_below(Fd fd, const std::string& path, int depth) {
  std::uint64_t sum = 0;
  if (depth > limits::kTreeDepth) return sum;
  const Directory directory = list(std::move(fd), path);
  const int at = ::dirfd(directory.get());
  while (const char* name = next_name(directory.get(), path)) {
    struct stat status{};
    if (::fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) continue;
      throw_errno("stat {}/{}", path, name);
    }
    sum += static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (!S_ISDIR(status.st_mode)) continue;
    const int raw = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (raw >= 0) sum += allocated_below(Fd::adopt(raw), path + "/" + name, depth + 1);
  }
  return sum;
}

}  // namespace

CopyMethod copy_sparse(FdView source, FdView destination, std::uint64_t leave_bytes) {
  if (::ftruncate(destination.get(), 0) < 0) throw_errno("truncate the copy");
  if (::ioctl(destination.get(), FICLONE, source.get()) == 0) return CopyMethod::reflink;
  // Any refusal (EOPNOTSUPP, EXDEV, EINVAL, ENOTTY on old filesystems) only means that blocks cannot be
  // shared.
  const std::uint64_t size = file_size(source);
  if (::ftruncate(destination.get(), static_cast<off_t>(size)) < 0)
    throw_errno("size the copy to {} bytes", size);
  for (std::uint64_t position = 0; position < size;) {
    const off_t data = ::lseek(source.get(), static_cast<off_t>(position), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0) throw_errno("find data after offset {}", position);
    const off_t hole = ::lseek(source.get(), data, SEEK_HOLE);
    if (hole < 0) throw_errno("find the hole after offset {}", data);
    const auto end = static_cast<std::uint64_t>(hole);
    for (position = static_cast<std::uint64_t>(data); position < end;) {
      const std::uint64_t piece = std::min(end - position, limits::kCopyPieceBytes);
      require_room(destination, piece, leave_bytes);
      copy_segment(source, destination, position, piece);
      position += piece;
    }
  }
  return CopyMethod::sparse;
}

CopyMethod copy_sparse(const std::string& source, const std::string& destination, mode_t mode,
                       std::uint64_t leave_bytes) {
  const Fd from = open_file(source, O_RDONLY);
  const Fd to = open_file(destination, O_WRONLY | O_CREAT | O_EXCL, mode);
  ScopeGuard cleanup([&] { ::unlink(destination.c_str()); });
  const CopyMethod method = copy_sparse(from, to, leave_bytes);
  cleanup.dismiss();
  return method;
}

Fd create_sparse_file(const std::string& path, std::uint64_t size_bytes, mode_t mode) {
  Fd fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, mode);
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) < 0) {
    const int saved = errno;
    ::unlink(path.c_str());
    errno = saved;
    throw_errno("size {} to {} bytes", path, size_bytes);
  }
  return fd;
}

std::uint64_t file_size(FdView fd) {
  return static_cast<std::uint64_t>(stat_of(fd).st_size);
}

std::uint64_t allocated_bytes(FdView fd) {
  return static_cast<std::uint64_t>(stat_of(fd).st_blocks) * 512;
}

std::uint64_t allocated_bytes(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) < 0) throw_errno("stat {}", path);
  const auto own = static_cast<std::uint64_t>(status.st_blocks) * 512;
  if (!S_ISDIR(status.st_mode)) return own;
  return own + allocated_below(open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path, 0);
}

std::uint64_t free_disk_bytes(const std::string& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) < 0) throw_errno("ask for the free space at {}", path);
  return free_bytes(status);
}

void require_room(FdView fd, std::uint64_t bytes, std::uint64_t leave_bytes) {
  if (leave_bytes == 0) return;  // then the writing itself finds out
  struct statvfs status{};
  if (::fstatvfs(fd.get(), &status) < 0) throw_errno("ask for the free space of descriptor {}", fd.get());
  if (free_bytes(status) >= bytes + leave_bytes) return;
  errno = ENOSPC;
  throw_errno("write {} MiB to a disk of which {} MiB are left, the last {} MiB for others", (bytes >> 20) + 1,
              free_bytes(status) >> 20, leave_bytes >> 20);
}

std::optional<std::vector<std::string>> try_list_directory(const std::string& path) {
  auto opened = try_open_file(path, O_RDONLY | O_DIRECTORY);
  if (!opened) return std::nullopt;
  const Directory directory = list(std::move(*opened), path);
  std::vector<std::string> names;
  while (const char* name = next_name(directory.get(), path)) names.emplace_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_directory(const std::string& path) {
  auto names = try_list_directory(path);
  if (!names) throw SystemError(ENOENT, "list " + path);
  return std::move(*names);
}

bool exists(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("stat {}", path);
}

void make_directories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return;
  if (errno == ENOENT) {
    const auto slash = path.find_last_not_of('/');
    const auto parent_end = path.rfind('/', slash);
    if (parent_end == std::string::npos || parent_end == 0) throw_errno("create directory {}", path);
    make_directories(path.substr(0, parent_end), mode);
    if (::mkdir(path.c_str(), mode) == 0) return;
  }
  const int saved = errno;
  struct stat status{};
  if (saved == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return;
  errno = saved;
  throw_errno("create directory {}", path);
}

bool remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  if (errno != EISDIR && errno != EPERM) throw_errno("remove {}", path);
  auto directory = try_open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory) return true;  // somebody else removed it meanwhile
  const dev_t device = stat_of(*directory).st_dev;
  remove_entries(std::move(*directory), path, device, 0);
  if (::rmdir(path.c_str()) < 0 && errno != ENOENT) throw_errno("remove directory {}", path);
  return true;
}

}  // namespace wrenn::sys
