// Programs that listen on the loopback interface, as the kernel lists them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::envd::ports {

struct LoopbackListener {
  std::uint16_t port = 0;
  bool on_ipv4 = false;  // on 127.0.0.1
  bool on_ipv6 = false;  // on ::1
  bool operator==(const LoopbackListener&) const = default;
};

// The text of /proc/net/tcp and of /proc/net/tcp6 → one entry a port, by port. Sockets in state LISTEN bound
// to 127.0.0.1, ::1 or ::ffff:127.0.0.1 count; lines that are not understood are left out.
std::vector<LoopbackListener> parse_listeners(std::string_view tcp, std::string_view tcp6);

// Those of this network namespace. Reads no more of the tables than the part with listeners, which stands
// first. Blocks (the kernel walks its tables): call from a pool thread. Throws SystemError.
std::vector<LoopbackListener> loopback_listeners();

}  // namespace wrenn::envd::ports
