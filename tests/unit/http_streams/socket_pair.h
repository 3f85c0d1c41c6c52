// Two connected streams of one loop.
#pragma once

#include <sys/socket.h>

#include <utility>

#include "core/base/error.h"
#include "core/net/stream.h"

namespace wrenn::test {

inline net::Stream stream_of(async::Executor executor, int fd) {
  return net::Stream(net::Stream::Socket(executor, asio::generic::stream_protocol(AF_UNIX, 0), fd));
}

inline std::pair<net::Stream, net::Stream> socket_pair(async::Executor executor) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
  return {stream_of(executor, fds[0]), stream_of(executor, fds[1])};
}

}  // namespace wrenn::test
