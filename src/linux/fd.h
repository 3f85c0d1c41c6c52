// File descriptors: who owns one is in the type. Nothing converts to int; the system call takes get().
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace wrenn::sys {

// A descriptor that somebody else owns and keeps open while this view is used. Copying is free.
class FdView {
 public:
  constexpr FdView() noexcept = default;
  constexpr explicit FdView(int fd) noexcept : fd_(fd) {}
  constexpr int get() const noexcept { return fd_; }
  constexpr bool valid() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Owns a descriptor and closes it.
class Fd {
 public:
  Fd() noexcept = default;
  // Takes ownership; -1 gives an empty Fd.
  static Fd adopt(int fd) noexcept { return Fd(fd); }
  ~Fd() { reset(); }

  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  FdView view() const noexcept { return FdView(fd_); }
  operator FdView() const noexcept { return view(); }  // lending an owned descriptor is always right

  // Gives up ownership: the caller closes.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  // Closes now, ignoring what close() says. Where a delayed write error matters, fsync first.
  void reset() noexcept;
  // A second descriptor for the same open file, O_CLOEXEC. Throws SystemError.
  Fd duplicate() const;

 private:
  explicit Fd(int fd) noexcept : fd_(fd) {}
  int fd_ = -1;
};

// All of these open with O_CLOEXEC and throw SystemError; the try_ forms are absent on ENOENT and ENOTDIR
// only. `mode` counts when `flags` creates a file. `directory` may be FdView(AT_FDCWD).
Fd open_file(const std::string& path, int flags, mode_t mode = 0600);
std::optional<Fd> try_open_file(const std::string& path, int flags, mode_t mode = 0600);
Fd open_at(FdView directory, const std::string& name, int flags, mode_t mode = 0600);
Fd open_directory(const std::string& path);

struct PipePair {
  Fd read_end;
  Fd write_end;
};
// O_CLOEXEC, blocking. Throws SystemError.
PipePair make_pipe();
// An anonymous file in memory, O_CLOEXEC; `name` shows in /proc/self/fd only. Throws SystemError.
Fd make_memfd(const std::string& name);

// Whole-buffer transfers on blocking descriptors; they repeat after EINTR and short counts and throw
// SystemError. End of file before the span is full throws Error(data_loss).
void read_full(FdView fd, std::span<std::byte> into);
void pread_full(FdView fd, std::span<std::byte> into, std::uint64_t offset);
void write_full(FdView fd, std::span<const std::byte> data);
void write_full(FdView fd, std::string_view data);
void pwrite_full(FdView fd, std::span<const std::byte> data, std::uint64_t offset);
// Up to `max_bytes` from the current position, fewer only at end of file.
std::string read_up_to(FdView fd, std::size_t max_bytes);

// Whole file. Throws SystemError, and Error(too_large) when it holds more than `max_bytes`. Right for files
// of /proc and /sys too, whose st_size is 0.
std::string read_file(const std::string& path, std::size_t max_bytes);
std::optional<std::string> try_read_file(const std::string& path, std::size_t max_bytes);

// One write() to an existing file without truncating it, which is what files of /proc, /sys and cgroup want.
// Throws SystemError; the try_ form gives errno, 0 for success.
void write_existing(const std::string& path, std::string_view data);
int try_write_existing(const std::string& path, std::string_view data) noexcept;

// Replaces `path` such that after a crash either the old or the new content is there, whole: temporary file
// in the same directory, fsync, rename, fsync of the directory. `mode` is exact, not masked by umask. Throws
// SystemError; the temporary file is removed then.
void write_file_atomic(const std::string& path, std::string_view data, mode_t mode);
// Makes renames and unlinks in a directory durable. Throws SystemError.
void fsync_dir(const std::string& path);

}  // namespace wrenn::sys
