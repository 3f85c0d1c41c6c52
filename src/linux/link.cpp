#include "linux/link.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <limits>

#include "core/base/error.h"

namespace wrenn::sys {

namespace {

void check_name(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ)
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no name for a network interface: 1 to {} bytes", name,
                IFNAMSIZ - 1);
}

std::optional<LinkInfo> parse_link(const NetlinkMessage& message) {
  if (message.type != RTM_NEWLINK) return std::nullopt;
  const auto fixed = message.fixed<ifinfomsg>();
  const auto name = message.attribute_text(sizeof(ifinfomsg), IFLA_IFNAME);
  if (!fixed || !name) return std::nullopt;
  LinkInfo link;
  link.index = fixed->ifi_index;
  link.name = *name;
  link.up = (fixed->ifi_flags & IFF_UP) != 0;
  link.mtu = message.attribute_u32(sizeof(ifinfomsg), IFLA_MTU).value_or(0);
  if (const auto info = message.attribute(sizeof(ifinfomsg), IFLA_LINKINFO))
    link.kind = NetlinkMessage{0, *info}.attribute_text(0, IFLA_INFO_KIND).value_or("");
  return link;
}

NetlinkRequest route_request(std::uint16_t type, std::uint16_t flags, const Route& route) {
  rtmsg fixed{};
  fixed.rtm_family = AF_INET;
  fixed.rtm_dst_len = route.destination.length;
  fixed.rtm_table = RT_TABLE_MAIN;
  // For a deletion NOWHERE means "any scope"; protocol and type 0 likewise.
  const bool adding = type == RTM_NEWROUTE;
  fixed.rtm_protocol = adding ? RTPROT_BOOT : RTPROT_UNSPEC;
  fixed.rtm_type = adding ? RTN_UNICAST : RTN_UNSPEC;
  fixed.rtm_scope = RT_SCOPE_NOWHERE;
  if (adding) fixed.rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  NetlinkRequest request(type, flags);
  request.fixed(fixed);
  if (route.destination.length > 0) request.attribute(RTA_DST, htonl(route.destination.address.value));
  if (route.gateway) request.attribute(RTA_GATEWAY, htonl(route.gateway->value));
  if (route.link_index != 0) request.attribute(RTA_OIF, static_cast<std::uint32_t>(route.link_index));
  return request;
}

struct RouteEntry {
  Route route;
  std::uint32_t metric = 0;
};

std::vector<RouteEntry> dump_routes(NetlinkSocket& netlink) {
  std::vector<RouteEntry> entries;
  rtmsg fixed{};
  fixed.rtm_family = AF_INET;
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP);
  request.fixed(fixed);
  netlink.query(request, "list routes", [&](const NetlinkMessage& message) {
    const auto header = message.fixed<rtmsg>();
    if (message.type != RTM_NEWROUTE || !header || header->rtm_family != AF_INET) return;
    if (header->rtm_type != RTN_UNICAST) return;
    const auto number = [&](std::uint16_t type) { return message.attribute_u32(sizeof(rtmsg), type); };
    if (number(RTA_TABLE).value_or(header->rtm_table) != RT_TABLE_MAIN) return;
    RouteEntry entry;
    entry.route.destination = {{ntohl(number(RTA_DST).value_or(0))}, header->rtm_dst_len};
    if (const auto gateway = number(RTA_GATEWAY)) entry.route.gateway = Ipv4{ntohl(*gateway)};
    entry.route.link_index = static_cast<int>(number(RTA_OIF).value_or(0));
    entry.metric = number(RTA_PRIORITY).value_or(0);
    entries.push_back(entry);
  });
  return entries;
}

}  // namespace

std::optional<LinkInfo> find_link(NetlinkSocket& netlink, std::string_view name) {
  check_name(name);
  NetlinkRequest request(RTM_GETLINK, 0);
  request.fixed(ifinfomsg{}).attribute(IFLA_IFNAME, name);
  std::optional<LinkInfo> link;
  netlink.query(request, fmt::format("find interface {}", name), [&](const NetlinkMessage& message) {
    if (auto parsed = parse_link(message)) link = std::move(parsed);
  });
  return link;
}

LinkInfo get_link(NetlinkSocket& netlink, std::string_view name) {
  auto link = find_link(netlink, name);
  if (!link) throw_error(ErrorCode::not_found, "there is no network interface {}", name);
  return std::move(*link);
}

std::vector<LinkInfo> list_links(NetlinkSocket& netlink, std::string_view prefix) {
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
  request.fixed(ifinfomsg{});
  std::vector<LinkInfo> links;
  netlink.query(request, "list interfaces", [&](const NetlinkMessage& message) {
    auto link = parse_link(message);
    if (link && link->name.starts_with(prefix)) links.push_back(std::move(*link));
  });
  return links;
}

void create_veth(NetlinkSocket& netlink, const VethPair& pair) {
  check_name(pair.name);
  check_name(pair.peer_name);
  ifinfomsg fixed{};
  if (pair.up) {
    fixed.ifi_flags = IFF_UP;
    fixed.ifi_change = IFF_UP;
  }
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.fixed(fixed).attribute(IFLA_IFNAME, pair.name);
  const auto info = request.begin(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, "veth");
  const auto data = request.begin(IFLA_INFO_DATA);
  const auto peer = request.begin(VETH_INFO_PEER);
  request.fixed(ifinfomsg{}).attribute(IFLA_IFNAME, pair.peer_name);
  if (pair.peer_netns.valid())
    request.attribute(IFLA_NET_NS_FD, static_cast<std::uint32_t>(pair.peer_netns.get()));
  request.end(peer);
  request.end(data);
  request.end(info);
  netlink.execute(request, fmt::format("create veth {} with peer {}", pair.name, pair.peer_name));
}

void change_link(NetlinkSocket& netlink, int index, const LinkChange& change) {
  ifinfomsg fixed{};
  fixed.ifi_index = index;
  if (change.up) {
    fixed.ifi_change = IFF_UP;
    fixed.ifi_flags = *change.up ? IFF_UP : 0;
  }
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.fixed(fixed);
  if (change.mtu) request.attribute(IFLA_MTU, *change.mtu);
  if (change.tx_queue_length) request.attribute(IFLA_TXQLEN, *change.tx_queue_length);
  netlink.execute(request, fmt::format("configure interface {}", index));
}

void move_link(NetlinkSocket& netlink, int index, FdView netns) {
  ifinfomsg fixed{};
  fixed.ifi_index = index;
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.fixed(fixed).attribute(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns.get()));
  netlink.execute(request, fmt::format("move interface {} to another namespace", index));
}

bool delete_link(NetlinkSocket& netlink, std::string_view name) {
  check_name(name);
  NetlinkRequest request(RTM_DELLINK, 0);
  request.fixed(ifinfomsg{}).attribute(IFLA_IFNAME, name);
  const auto failure = netlink.try_execute(request);
  if (!failure) return true;
  if (failure->errno_value == ENODEV) return false;
  errno = failure->errno_value;
  throw_errno("delete interface {}: {}", name, failure->message);
}

void add_address(NetlinkSocket& netlink, int index, const Ipv4Prefix& address) {
  ifaddrmsg fixed{};
  fixed.ifa_family = AF_INET;
  fixed.ifa_prefixlen = address.length;
  fixed.ifa_scope = RT_SCOPE_UNIVERSE;
  fixed.ifa_index = static_cast<std::uint32_t>(index);
  NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  request.fixed(fixed)
      .attribute(IFA_LOCAL, htonl(address.address.value))
      .attribute(IFA_ADDRESS, htonl(address.address.value));
  netlink.execute(request, fmt::format("add address {} to interface {}", to_string(address), index));
}

void add_route(NetlinkSocket& netlink, const Route& route) {
  NetlinkRequest request = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
  netlink.execute(request, fmt::format("add route to {}", to_string(route.destination)));
}

bool delete_route(NetlinkSocket& netlink, const Route& route) {
  NetlinkRequest request = route_request(RTM_DELROUTE, 0, route);
  const auto failure = netlink.try_execute(request);
  if (!failure) return true;
  if (failure->errno_value == ESRCH || failure->errno_value == ENODEV) return false;
  errno = failure->errno_value;
  throw_errno("delete route to {}: {}", to_string(route.destination), failure->message);
}

std::vector<Route> list_routes(NetlinkSocket& netlink) {
  std::vector<Route> routes;
  for (const RouteEntry& entry : dump_routes(netlink)) routes.push_back(entry.route);
  return routes;
}

std::optional<LinkInfo> default_route_link(NetlinkSocket& netlink) {
  std::uint32_t lowest = std::numeric_limits<std::uint32_t>::max();
  int index = 0;
  for (const RouteEntry& entry : dump_routes(netlink)) {
    if (entry.route.destination.length != 0 || entry.route.link_index == 0) continue;
    if (index != 0 && entry.metric >= lowest) continue;
    lowest = entry.metric;
    index = entry.route.link_index;
  }
  if (index == 0) return std::nullopt;
  for (LinkInfo& link : list_links(netlink, ""))
    if (link.index == index) return std::move(link);
  return std::nullopt;
}

}  // namespace wrenn::sys
