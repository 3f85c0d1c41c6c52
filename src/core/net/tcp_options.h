// What every TCP socket of ours is set to.
#pragma once

namespace wrenn::net {

// No delay for small writes, and probes that notice a peer which vanished without a word within
// limits::kTcpKeepIdle + kTcpKeepProbes · kTcpKeepInterval, however long the connection may stay idle. Set on
// a listener they are handed down to accepted sockets. Failures do not matter.
void set_tcp_options(int fd) noexcept;

}  // namespace wrenn::net
