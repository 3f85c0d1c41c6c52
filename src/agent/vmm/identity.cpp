#include "agent/vmm/identity.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/vmm/limits.h"
#include "core/base/check.h"

namespace wrenn::agent::vmm {

std::optional<sys::ProcessIdentity> machine_identity(int slot, Acceleration acceleration) {
  WRENN_CHECK(slot >= 0);
  if (::geteuid() != 0) return std::nullopt;
  sys::ProcessIdentity identity;
  identity.uid = limits::kFirstUid + static_cast<std::uint32_t>(slot);
  identity.gid = identity.uid;
  struct stat node{};
  // Distributions give the node to the group `kvm` or to everybody; a node of root alone needs an operator,
  // and the probe says so.
  if (acceleration == Acceleration::kvm && ::stat("/dev/kvm", &node) == 0 && (node.st_mode & S_IRGRP) != 0 &&
      (node.st_mode & S_IWGRP) != 0 && node.st_gid != 0) {
    identity.groups.push_back(node.st_gid);
  }
  return identity;
}

}  // namespace wrenn::agent::vmm
