#include "guest/guest_network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "linux/fd.h"

// ioctl and not netlink: seven calls without a message to build or an answer to parse.

namespace wrenn::guest {

namespace {

constexpr const char* kLoopback = "lo";
constexpr const char* kInterface = "eth0";
constexpr const char* kAddress = "169.254.0.21";
constexpr const char* kNetmask = "255.255.255.252";
constexpr const char* kGateway = "169.254.0.22";

ifreq request_for(const char* interface) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  return request;
}

sockaddr socket_address(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  sockaddr generic;
  std::memcpy(&generic, &address, sizeof generic);
  return generic;
}

bool interface_exists(sys::FdView socket, const char* interface) {
  ifreq request = request_for(interface);
  return ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0;
}

void bring_up(sys::FdView socket, const char* interface) {
  ifreq request = request_for(interface);
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) throw_errno("read the flags of {}", interface);
  if ((request.ifr_flags & IFF_UP) != 0) return;
  request.ifr_flags |= IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throw_errno("bring up {}", interface);
}

void set_address(sys::FdView socket) {
  ifreq request = request_for(kInterface);
  request.ifr_addr = socket_address(kAddress);
  if (::ioctl(socket.get(), SIOCSIFADDR, &request) != 0)
    throw_errno("give {} the address {}", kInterface, kAddress);
  request.ifr_netmask = socket_address(kNetmask);
  if (::ioctl(socket.get(), SIOCSIFNETMASK, &request) != 0) throw_errno("set the netmask of {}", kInterface);
}

void add_default_route(sys::FdView socket) {
  rtentry route{};
  route.rt_dst = socket_address("0.0.0.0");
  route.rt_genmask = socket_address("0.0.0.0");
  route.rt_gateway = socket_address(kGateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (::ioctl(socket.get(), SIOCADDRT, &route) != 0 && errno != EEXIST) throw_errno("route by {}", kGateway);
}

// Guests have no IPv6 beyond ::1. Without this, duplicate address detection and router solicitation would
// wake the guest and send packets for the first seconds of its life. Best effort: a kernel without IPv6 has
// no such file.
void silence_ipv6() {
  (void)sys::try_write_existing("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
}

}  // namespace

void configure_network() {
  const sys::Fd socket = sys::Fd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) throw_errno("open a socket to configure the network");

  bring_up(socket, kLoopback);
  if (!interface_exists(socket, kInterface)) return;
  silence_ipv6();
  set_address(socket);
  bring_up(socket, kInterface);
  add_default_route(socket);
}

}  // namespace wrenn::guest
