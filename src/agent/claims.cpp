#include "agent/claims.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/file.h"

namespace wrenn::agent {

static constexpr std::size_t kClaimBytes = 4096;  // PATH_MAX

Claims::Claims(std::string owner, std::string directory)
    : owner_(std::move(owner)), directory_(std::move(directory)) {
  sys::make_directories(directory_, 0755);
}

Claims::Taken Claims::take(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  // Written aside and linked into place: the claim appears whole, and only if there is none.
  const std::string draft = path + ".new-" + std::to_string(getpid()) + "-" + std::to_string(gettid());
  {
    const sys::Fd file = sys::open_file(draft, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sys::write_full(file, owner_);
  }
  const int result = link(draft.c_str(), path.c_str());
  const int link_errno = errno;
  unlink(draft.c_str());
  if (result == 0) return Taken::now;
  if (link_errno != EEXIST) throw SystemError(link_errno, "claim " + path);
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
    if (name.find(".new-") != std::string::npos) continue;
    const auto owner = sys::try_read_file(directory_ + "/" + name, kClaimBytes);
    if (owner && (*owner == owner_ || !sys::exists(*owner))) names.push_back(name);
  }
  return names;
}

}  // namespace wrenn::agent
