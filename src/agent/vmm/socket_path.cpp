#include "agent/vmm/socket_path.h"

#include <fcntl.h>
#include <sys/un.h>

#include <fmt/format.h>

namespace wrenn::agent::vmm {

SocketPath::SocketPath(const std::string& path) : text_(path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return;
  const auto slash = path.rfind('/');
  directory_ = sys::open_file(path.substr(0, slash), O_PATH | O_DIRECTORY);
  text_ = fmt::format("/proc/self/fd/{}{}", directory_.get(), path.substr(slash));
}

}  // namespace wrenn::agent::vmm
