#include "agent/claims.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "core/base/crash_point.h"
#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/file.h"

namespace wrenn::agent {

static constexpr std::size_t kClaimBytes = 4096;  // PATH_MAX
static constexpr std::string_view kDraft = ".new-";

Claims::Claims(std::string owner, std::string directory)
    : owner_(std::move(owner)), directory_(std::move(directory)) {
  sys::make_directories(directory_, 0755);
}

// Written without a name and linked into place: the claim appears whole, only if there is none, and a crash
// in between leaves nothing. Absent where the file system has no files without a name (overlayfs before
// Linux 6.3).
static std::optional<int> link_nameless(const std::string& directory, const std::string& path,
                                        const std::string& owner) {
  const sys::Fd file = sys::Fd::adopt(::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));
  if (!file.valid()) {
    if (errno == EOPNOTSUPP || errno == EISDIR) return std::nullopt;
    throw_errno("claim {}", path);
  }
  sys::write_full(file, owner);
  crash_point("claim.written");
  const std::string self = "/proc/self/fd/" + std::to_string(file.get());
  return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

// As above, but with a name for a moment. Who dies in that moment leaves a small file until the next boot.
static int link_draft(const std::string& path, const std::string& owner) {
  const std::string draft =
      path + std::string(kDraft) + std::to_string(getpid()) + "-" + std::to_string(gettid());
  {
    const sys::Fd file = sys::open_file(draft, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sys::write_full(file, owner);
  }
  const int result = ::link(draft.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(draft.c_str());
  return result;
}

Claims::Taken Claims::take(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  const auto nameless = link_nameless(directory_, path, owner_);
  const int failure = nameless ? *nameless : link_draft(path, owner_);
  if (failure == 0) return Taken::now;
  if (failure != EEXIST) throw SystemError(failure, "claim " + path);
  return sys::try_read_file(path, kClaimBytes) == owner_ ? Taken::before : Taken::foreign;
}

void Claims::give_back(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  const auto owner = sys::try_read_file(path, kClaimBytes);
  if (!owner || (*owner != owner_ && sys::exists(*owner))) return;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove {}", path);
}

std::vector<std::string> Claims::list() const {
  std::vector<std::string> names;
  for (const std::string& name : sys::list_directory(directory_)) {
    if (name.find(kDraft) != std::string::npos) continue;
    const auto owner = sys::try_read_file(directory_ + "/" + name, kClaimBytes);
    if (owner && (*owner == owner_ || !sys::exists(*owner))) names.push_back(name);
  }
  return names;
}

}  // namespace wrenn::agent
