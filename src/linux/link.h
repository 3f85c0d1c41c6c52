// Network interfaces, addresses and routes of one namespace, that of the socket. IPv4 only.
// Functions throw SystemError, with the kernel's own explanation where it gives one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"
#include "linux/ipv4.h"
#include "linux/netlink_socket.h"

namespace wrenn::sys {

struct LinkInfo {
  int index = 0;
  std::string name;
  bool up = false;  // administratively
  std::uint32_t mtu = 0;
  std::string kind;  // "veth", "tun", …; empty for hardware and lo
};

// Absent when there is none of this name.
std::optional<LinkInfo> find_link(NetlinkSocket& netlink, std::string_view name);
// The same, but throws Error(not_found).
LinkInfo get_link(NetlinkSocket& netlink, std::string_view name);
// Names that begin with `prefix`; all for an empty one.
std::vector<LinkInfo> list_links(NetlinkSocket& netlink, std::string_view prefix);

// A veth pair: `name` here, `peer_name` directly in `peer_netns`. Fails with EEXIST when either name is
// taken. The peer is created down (the kernel cannot do otherwise): change_link() it in its namespace.
struct VethPair {
  std::string name;
  std::string peer_name;
  FdView peer_netns;  // unset: the peer is here as well
  bool up = true;     // of this end
};
void create_veth(NetlinkSocket& netlink, const VethPair& pair);

struct LinkChange {
  std::optional<bool> up;
  std::optional<std::uint32_t> mtu;
  std::optional<std::uint32_t> tx_queue_length;  // packets
};
void change_link(NetlinkSocket& netlink, int index, const LinkChange& change);
void move_link(NetlinkSocket& netlink, int index, FdView netns);
// Deleting one end of a veth deletes both. False when there was none of this name.
bool delete_link(NetlinkSocket& netlink, std::string_view name);

// `address` is the interface's own with the length of its network: 10.12.0.2/31. EEXIST when it has it
// already.
void add_address(NetlinkSocket& netlink, int index, const Ipv4Prefix& address);

struct Route {
  Ipv4Prefix destination;       // {0.0.0.0, 0} is the default route
  std::optional<Ipv4> gateway;  // absent: the destination is on the link
  int link_index = 0;           // 0: the kernel chooses by the gateway
};
void add_route(NetlinkSocket& netlink, const Route& route);     // EEXIST when there is one
bool delete_route(NetlinkSocket& netlink, const Route& route);  // false when there is none
// The main table's routes; the default route's destination has length 0.
std::vector<Route> list_routes(NetlinkSocket& netlink);
// The link that the IPv4 default route with the lowest metric leaves by; absent when there is none.
std::optional<LinkInfo> default_route_link(NetlinkSocket& netlink);

}  // namespace wrenn::sys
