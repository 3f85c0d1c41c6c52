#include "agent/network/slot.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <functional>

#include "agent/network/rules.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"
#include "linux/link.h"
#include "linux/netlink_socket.h"
#include "linux/netns.h"
#include "linux/nft.h"
#include "linux/sysctl.h"
#include "linux/tap.h"

// One thread enters the new namespace once, makes what must be made there and opens a netlink socket, which
// works from outside afterwards. The veth pair is created by the host's side with its peer directly in the
// namespace, so that nothing has to be moved or renamed.

namespace wrenn::agent::network {

namespace {

constexpr const char* kPeerName = "eth0";
constexpr std::uint32_t kTapQueuePackets = 5000;
constexpr std::uint8_t kTapPrefix = 30;
constexpr std::uint8_t kVethPrefixLength = 31;

void set_mac(const sys::Fd& tap, const char* text) {
  std::array<unsigned, 6> parts{};
  std::sscanf(text, "%x:%x:%x:%x:%x:%x", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5]);
  ifreq request{};
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  for (std::size_t i = 0; i < parts.size(); ++i) request.ifr_hwaddr.sa_data[i] = static_cast<char>(parts[i]);
  if (::ioctl(tap.get(), SIOCSIFHWADDR, &request) != 0)
    throw_errno("set the address of TAP {} to {}", kTapName, text);
}

sys::TapOptions tap_options() {
  sys::TapOptions options;
  options.persistent = true;  // the slot keeps it while no VMM runs
  return options;
}

// A kernel without IPv6 has nothing to turn off.
void disable_ipv6() {
  for (const char* scope : {"all", "default"}) {
    try {
      sys::write_sysctl(fmt::format("net.ipv6.conf.{}.disable_ipv6", scope), "1");
    } catch (const SystemError& error) {
      if (error.code() != ErrorCode::not_found) throw;
    }
  }
}

void bring_up(sys::NetlinkSocket& netlink, std::string_view name, std::optional<std::uint32_t> queue = {}) {
  sys::LinkChange change;
  change.up = true;
  change.tx_queue_length = queue;
  sys::change_link(netlink, sys::get_link(netlink, name).index, change);
}

// In the namespace. Returns its netlink socket.
sys::NetlinkSocket furnish_netns() {
  sys::NetlinkSocket netlink = sys::NetlinkSocket::open();
  disable_ipv6();
  sys::write_sysctl("net.ipv4.ip_forward", "1");
  bring_up(netlink, "lo");
  const sys::Fd tap = sys::open_tap(kTapName, tap_options());
  set_mac(tap, kGatewayMac);
  const int index = sys::get_link(netlink, kTapName).index;
  sys::add_address(netlink, index, {kGatewayAddress, kTapPrefix});
  bring_up(netlink, kTapName, kTapQueuePackets);
  return netlink;
}

bool anything_exists(const SlotPlan& plan, sys::NetlinkSocket& host) {
  return ::access(sys::netns_path(plan.netns).c_str(), F_OK) == 0 || sys::find_link(host, plan.veth_name);
}

// The slot's route is of the veth and goes with it.
void remove_all(const SlotPlan& plan, sys::NetlinkSocket& host) {
  std::exception_ptr first;
  const auto attempt = [&](const std::function<void()>& step) {
    try {
      step();
    } catch (const Error& error) {
      log::warn("part of a network slot could not be removed",
                {{"slot", plan.index}, {"error", error.what()}});
      if (!first) first = std::current_exception();
    }
  };
  // The link first: its name is free at once then, whereas a namespace is taken apart in the background.
  attempt([&] { sys::delete_link(host, plan.veth_name); });
  attempt([&] { sys::remove_netns(plan.netns); });
  if (first) std::rethrow_exception(first);
}

}  // namespace

void create_slot(int index) {
  const SlotPlan plan = plan_slot(index);
  sys::NetlinkSocket host = sys::NetlinkSocket::open();
  if (anything_exists(plan, host)) remove_all(plan, host);

  std::optional<sys::NetlinkSocket> inside;
  sys::NetNs netns = sys::NetNs::create(plan.netns, [&] { inside = furnish_netns(); });
  ScopeGuard delete_veth([&] {
    try {
      sys::delete_link(host, plan.veth_name);
    } catch (const Error& error) {
      log::warn("a half-made network slot stays", {{"slot", index}, {"error", error.what()}});
    }
  });
  sys::VethPair pair;
  pair.name = plan.veth_name;
  pair.peer_name = kPeerName;
  pair.peer_netns = netns.fd();
  sys::create_veth(host, pair);
  const int veth = sys::get_link(host, plan.veth_name).index;
  const int peer = sys::get_link(*inside, kPeerName).index;
  bring_up(*inside, kPeerName);  // the kernel creates peers down
  sys::add_address(*inside, peer, {plan.peer, kVethPrefixLength});
  sys::add_route(*inside, {.destination = {{}, 0}, .gateway = plan.veth, .link_index = peer});
  // Rules before the way to the host is complete: there is no moment without them.
  sys::apply_nft(render_slot_rules(plan), netns.fd());
  sys::add_address(host, veth, {plan.veth, kVethPrefixLength});
  sys::add_route(host, {.destination = {plan.host_reachable, 32}, .gateway = plan.peer, .link_index = veth});
  delete_veth.dismiss();
  netns.release();
}

sys::Fd open_slot_tap(int index) {
  const sys::Fd netns = open_slot_netns(index);
  sys::Fd tap;
  sys::run_in_netns(netns, [&] { tap = sys::open_tap(kTapName, tap_options()); });
  return tap;
}

sys::Fd open_slot_netns(int index) {
  const SlotPlan plan = plan_slot(index);
  auto netns = sys::NetNs::adopt(plan.netns);
  if (!netns) throw_error(ErrorCode::not_found, "network slot {} is not set up", index);
  sys::Fd fd = sys::open_file(sys::netns_path(plan.netns), O_RDONLY);
  netns->release();
  return fd;
}

bool slot_is_complete(int index) {
  const SlotPlan plan = plan_slot(index);
  auto netns = sys::NetNs::adopt(plan.netns);
  if (!netns) return false;
  const ScopeGuard keep([&] { netns->release(); });
  sys::NetlinkSocket host = sys::NetlinkSocket::open();
  const auto veth = sys::find_link(host, plan.veth_name);
  if (!veth || !veth->up) return false;
  const auto routes = sys::list_routes(host);
  const bool routed = std::any_of(routes.begin(), routes.end(), [&](const sys::Route& route) {
    return route.link_index == veth->index && route.destination.address == plan.host_reachable;
  });
  if (!routed) return false;
  sys::NetlinkSocket inside = sys::NetlinkSocket::open_in(netns->fd());
  const auto tap = sys::find_link(inside, kTapName);
  const auto peer = sys::find_link(inside, kPeerName);
  return tap && tap->up && peer && peer->up &&
         sys::list_nft(netns->fd()).find(sys::to_string(plan.host_reachable)) != std::string::npos;
}

void destroy_slot(int index) {
  const SlotPlan plan = plan_slot(index);
  sys::NetlinkSocket host = sys::NetlinkSocket::open();
  remove_all(plan, host);
}

std::vector<int> list_slots() {
  std::vector<int> slots;
  const auto add = [&](std::string_view name) {
    if (const auto index = slot_of_name(name)) slots.push_back(*index);
  };
  for (const std::string& name : sys::list_netns("wrenn-ns-")) add(name);
  sys::NetlinkSocket host = sys::NetlinkSocket::open();
  for (const sys::LinkInfo& link : sys::list_links(host, "wrenn-veth-")) add(link.name);
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

std::string network_problem() {
  if (::geteuid() != 0) return "network namespaces and interfaces need root: start the agent as root";
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "/dev/net/tun is missing: run modprobe tun";
  return sys::nft_problem();
}

}  // namespace wrenn::agent::network
