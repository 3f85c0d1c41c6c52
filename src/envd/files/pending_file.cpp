#include "envd/files/pending_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "envd/files/path_error.h"
#include "envd/files/paths.h"
#include "envd/files/temporary_name.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

// Where writing to `path` would end up: follows links in the last place, also one that leads to nothing yet.
std::string follow_links(std::string path) {
  for (int i = 0; i < limits::kSymlinks; ++i) {
    char link[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), link, sizeof link);
    if (length < 0) return path;  // no link, or nothing there
    const std::string_view target(link, static_cast<std::size_t>(length));
    path = target.starts_with('/') ? std::string(target) : parent(path) + "/" + std::string(target);
  }
  errno = ELOOP;
  throw_path_error("follow", path);
}

void check_space(const std::string& directory, std::uint64_t bytes) {
  struct statvfs disk{};
  if (::statvfs(directory.c_str(), &disk) != 0 || disk.f_blocks == 0)
    return;  // 0: a file system without a size
  const std::uint64_t free = std::uint64_t(::geteuid() == 0 ? disk.f_bfree : disk.f_bavail) * disk.f_frsize;
  if (bytes > free)
    throw SystemError(ENOSPC, fmt::format("store {} bytes in '{}'", bytes, sanitize_utf8(directory)));
}

}  // namespace

PendingFile::PendingFile(const std::string& path, const User& user, std::optional<std::uint64_t> bytes,
                         PageCache cache, Metadata metadata)
    : path_(path),
      target_(follow_links(path)),
      owner_(user.uid),
      group_(user.gid),
      metadata_(std::move(metadata)),
      cache_(cache) {
  if (base_name(path).size() > NAME_MAX) {
    errno = ENAMETOOLONG;
    throw_path_error("create", path);
  }
  struct stat existing{};
  const bool exists = ::stat(target_.c_str(), &existing) == 0;
  if (exists) {
    if (S_ISDIR(existing.st_mode))
      throw_error(ErrorCode::invalid_argument, "path '{}' is a directory", sanitize_utf8(path));
    if (!S_ISREG(existing.st_mode))
      throw_error(ErrorCode::invalid_argument, "path '{}' exists and is not a regular file",
                  sanitize_utf8(path));
    mode_ = existing.st_mode & 07777;
    is_new_ = false;
    attributes_ = load_other_attributes(target_);
    if (user.uid == 0) {
      owner_ = existing.st_uid;
      group_ = existing.st_gid;
    }
  } else {
    if (errno != ENOENT && errno != ENOTDIR) throw_path_error("look at", path);
    directories_ = MadeDirectories::make(parent(target_), user);
  }
  if (bytes) check_space(parent(target_), *bytes);
  try {
    open_temporary();
  } catch (const SystemError&) {
    if (!exists) throw;
    fd_ = sys::Fd::adopt(::open(target_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY));
    if (!fd_.valid()) throw;
    in_place_ = true;
  }
}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      owner_(other.owner_),
      group_(other.group_),
      mode_(other.mode_),
      metadata_(std::move(other.metadata_)),
      attributes_(std::move(other.attributes_)),
      is_new_(other.is_new_),
      in_place_(other.in_place_),
      cache_(other.cache_),
      direct_(other.direct_),
      bytes_(other.bytes_),
      directories_(std::move(other.directories_)),
      fd_(std::move(other.fd_)) {}

PendingFile::~PendingFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

// Nobody but root may look into it before it is complete.
void PendingFile::open_temporary() {
  const std::string directory = parent(target_);
  const std::string path = (directory == "/" ? "" : directory) + "/" +
                           std::string(is_new_ ? kNewUploadPrefix : kUploadPrefix) + random_hex(8);
  fd_ = sys::open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  temporary_ = path;
}

// A file system without direct writes refuses the flag (tmpfs), which is no failure.
void PendingFile::write_directly(bool wanted) {
  if (wanted == direct_) return;
  if (!wanted && ::fcntl(fd_.get(), F_SETFL, 0) != 0) throw_errno("write '{}'", sanitize_utf8(path_));
  direct_ = wanted && ::fcntl(fd_.get(), F_SETFL, O_DIRECT) == 0;
}

void PendingFile::append(std::span<const char> data) {
  write_directly(cache_ == PageCache::avoid && !in_place_ && fits_direct(data, bytes_));
  bytes_ += data.size();
  sys::write_full(fd_, std::string_view(data.data(), data.size()));
}

void PendingFile::seal() {
  if (!in_place_) {
    // Owner first: changing it clears set-user-id bits of the mode.
    if (::fchown(fd_.get(), owner_, group_) != 0) throw_errno("set the owner of '{}'", sanitize_utf8(path_));
    if (::fchmod(fd_.get(), mode_) != 0) throw_errno("set the mode of '{}'", sanitize_utf8(path_));
    store_attributes(fd_, attributes_);
  }
  store_metadata(fd_, metadata_);
  // Network file systems and quotas tell some failures only here.
  const int fd = fd_.release();
  if (::close(fd) != 0 && errno != EINTR) throw_errno("write '{}'", sanitize_utf8(path_));
}

void PendingFile::commit() {
  if (!in_place_) {
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) throw_path_error("put in place", path_);
    temporary_.clear();
  }
  directories_.keep();
}

}  // namespace wrenn::envd::files
