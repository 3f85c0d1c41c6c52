// Mounts. (Not mount.h: the C library includes <linux/mount.h>, and src/ is on the include path.)
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::sys {

// Owns a mount and unmounts it.
class Mount {
 public:
  // Shows `source` (file or directory) also at `target`, which must exist. Throws SystemError.
  static Mount bind(const std::string& source, const std::string& target, bool read_only = false);
  // An empty filesystem in memory, nosuid and nodev, of at most `size_bytes`. Throws SystemError.
  static Mount tmpfs(const std::string& target, std::uint64_t size_bytes, mode_t mode = 0755);
  // Any other; `flags` are MS_*. Throws SystemError.
  static Mount filesystem(const std::string& type, const std::string& source, const std::string& target,
                          unsigned long flags, const std::string& data = {});
  // Takes over a mount made earlier, by the path it is at.
  static Mount adopt(std::string target) noexcept { return Mount(std::move(target)); }

  ~Mount();  // unmounts; a busy mount is detached and goes with its last user
  Mount(Mount&& other) noexcept : target_(other.release()) {}
  Mount& operator=(Mount&& other) noexcept;
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  const std::string& target() const noexcept { return target_; }
  // Throws SystemError, EBUSY when it is in use; it then stays ours.
  void unmount();
  // Leaves it mounted.
  std::string release() noexcept;

 private:
  explicit Mount(std::string target) noexcept : target_(std::move(target)) {}
  void reset() noexcept;
  std::string target_;  // empty when there is nothing to unmount
};

struct MountEntry {
  std::string target;
  std::string root;  // what of the filesystem is shown: "/" unless it is a bind mount
  std::string type;  // "ext4", "nsfs", …
  std::string source;
};
// Parses /proc/PID/mountinfo, with its octal escapes; lines of an unknown form are left out.
std::vector<MountEntry> parse_mountinfo(std::string_view text);
// The mounts of our own namespace. Throws SystemError.
std::vector<MountEntry> list_mounts();

}  // namespace wrenn::sys
