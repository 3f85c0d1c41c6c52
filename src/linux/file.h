// Files and trees of files on disk: copies that keep holes, sizes, removal that no symbolic link can divert.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "linux/fd.h"

namespace wrenn::sys {

enum class CopyMethod { reflink, sparse };

// Copies the whole of `source` over `destination` (opened for writing; truncated first). Shares the blocks
// where the filesystem can (FICLONE), else copies the data segments and leaves the holes. Positions of both
// descriptors are unspecified afterwards. Does not fsync. What cannot be shared leaves at least `leave_bytes` of
// the filesystem free. Throws SystemError.
CopyMethod copy_sparse(FdView source, FdView destination, std::uint64_t leave_bytes = 0);
// The same by path; `destination` must not exist, is created with `mode` and removed when the copy fails.
CopyMethod copy_sparse(const std::string& source, const std::string& destination, mode_t mode = 0600,
                       std::uint64_t leave_bytes = 0);

// A file of `size_bytes` that is one hole. Fails when it exists. Throws SystemError.
Fd create_sparse_file(const std::string& path, std::uint64_t size_bytes, mode_t mode = 0600);

std::uint64_t file_size(FdView fd);                      // apparent size in bytes
std::uint64_t allocated_bytes(FdView fd);                // what it takes on disk: st_blocks × 512
std::uint64_t allocated_bytes(const std::string& path);  // of a file, or of everything below a directory
std::uint64_t free_disk_bytes(const std::string& path);  // what an unprivileged user may still allocate there
// Throws SystemError(ENOSPC) unless `bytes` more on the filesystem of `fd` would leave `leave_bytes` of it free.
// For those who must not be the ones to fill it; two who ask at once may both be let through.
void require_room(FdView fd, std::uint64_t bytes, std::uint64_t leave_bytes);
bool exists(const std::string& path);  // follows symbolic links; throws on anything but ENOENT/ENOTDIR

// Names in a directory without "." and "..", sorted. Throws SystemError, also when the reading fails
// half-way: whoever takes what is not listed for gone must not be misled.
std::vector<std::string> list_directory(const std::string& path);
// Absent when there is no such directory.
std::optional<std::vector<std::string>> try_list_directory(const std::string& path);

// Like mkdir -p. Existing directories keep their mode. Throws SystemError.
void make_directories(const std::string& path, mode_t mode = 0755);

// Removes a file, a link, or a directory with all below it; never follows a symbolic link and never leaves
// the filesystem that `path` is on (a mount point below is an error, EXDEV). False when there was nothing.
// Throws SystemError at the first thing that cannot be removed.
bool remove_tree(const std::string& path);

}  // namespace wrenn::sys
