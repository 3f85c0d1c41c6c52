#include "linux/mount_point.h"

#include <sys/mount.h>

#include <cstring>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/fd.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

// "\040" → " "; the kernel escapes space, tab, newline and backslash like this.
std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

Mount Mount::bind(const std::string& source, const std::string& target, bool read_only) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0)
    throw_errno("bind {} to {}", source, target);
  Mount mount(target);
  // The kernel ignores MS_RDONLY together with MS_BIND, so it takes a second step.
  if (read_only && ::mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) < 0)
    throw_errno("make {} read-only", target);
  return mount;
}

Mount Mount::tmpfs(const std::string& target, std::uint64_t size_bytes, mode_t mode) {
  return filesystem("tmpfs", "tmpfs", target, MS_NOSUID | MS_NODEV,
                    fmt::format("size={},mode={:o}", size_bytes, mode));
}

Mount Mount::filesystem(const std::string& type, const std::string& source, const std::string& target,
                        unsigned long flags, const std::string& data) {
  if (::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.empty() ? nullptr : data.c_str()) < 0)
    throw_errno("mount {} of type {} at {}", source, type, target);
  return Mount(target);
}

Mount& Mount::operator=(Mount&& other) noexcept {
  if (this != &other) {
    reset();
    target_ = other.release();
  }
  return *this;
}

Mount::~Mount() {
  reset();
}

void Mount::unmount() {
  if (target_.empty()) return;
  if (::umount2(target_.c_str(), UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
    throw_errno("unmount {}", target_);
  target_.clear();
}

std::string Mount::release() noexcept {
  return std::exchange(target_, std::string());
}

void Mount::reset() noexcept {
  const std::string target = release();
  if (target.empty() || ::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return;
  if (errno == EBUSY && ::umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) {
    log::warn("mount was in use: detached", {{"path", target}});
    return;
  }
  if (errno != EINVAL && errno != ENOENT)  // these mean that it is no longer there
    log::warn("cannot unmount", {{"path", target}, {"error", std::strerror(errno)}});
}

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 … - ext3 /dev/root rw,errors=continue
  std::vector<MountEntry> entries;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ' ');
    std::size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 2 >= fields.size()) continue;
    entries.push_back({.target = unescape(fields[4]),
                       .root = unescape(fields[3]),
                       .type = std::string(fields[dash + 1]),
                       .source = unescape(fields[dash + 2])});
  }
  return entries;
}

std::vector<MountEntry> list_mounts() {
  return parse_mountinfo(read_file("/proc/self/mountinfo", limits::kMapsFileBytes));
}

}  // namespace wrenn::sys
