#include "core/net/tcp_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/base/limits.h"

namespace wrenn::net {

void set_tcp_options(int fd) noexcept {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(limits::kTcpKeepIdle.count()));
  set(IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(limits::kTcpKeepInterval.count()));
  set(IPPROTO_TCP, TCP_KEEPCNT, limits::kTcpKeepProbes);
}

}  // namespace wrenn::net
