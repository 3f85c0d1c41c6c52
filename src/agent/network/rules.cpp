#include "agent/network/rules.h"

#include <fmt/format.h>

namespace wrenn::agent::network {

namespace {

using sys::Ipv4;

// Declaring before deleting makes the deletion right whether or not there is one; all of it is one
// transaction.
constexpr std::string_view kReplace = "table inet wrenn {}\ndelete table inet wrenn\n";

}  // namespace

std::vector<sys::Ipv4Prefix> closed_destinations() {
  return {
      {Ipv4::of(0, 0, 0, 0), 8},       // this network
      {Ipv4::of(10, 0, 0, 0), 8},      // private; our slots (10.11/16, 10.12/16) are in it
      {Ipv4::of(100, 64, 0, 0), 10},   // carrier-grade NAT; some clouds' internal services
      {Ipv4::of(127, 0, 0, 0), 8},     // loopback
      {Ipv4::of(169, 254, 0, 0), 16},  // link-local; 169.254.169.254 is the clouds' metadata service
      {Ipv4::of(172, 16, 0, 0), 12},   // private
      {Ipv4::of(192, 168, 0, 0), 16},  // private
      {Ipv4::of(224, 0, 0, 0), 4},     // multicast
      {Ipv4::of(240, 0, 0, 0), 4},     // reserved, and broadcast
  };
}

std::string render_host_rules(const HostRules& rules) {
  std::string closed;
  for (const sys::Ipv4Prefix& prefix : rules.closed)
    closed += (closed.empty() ? "" : ", ") + sys::to_string(prefix);
  std::string text(kReplace);
  // Guests are told by the interface they come in by. Accepting here leaves the last word to the operator's
  // own tables, dropping is final.
  text += R"(table inet wrenn {
  set closed {
    type ipv4_addr
    flags interval
)";
  if (!closed.empty()) text += fmt::format("    elements = {{ {} }}\n", closed);
  text += R"(  }
  chain from_guest_early {
    type filter hook prerouting priority raw; policy accept;
    iifname "wrenn-veth-*" meta nfproto != ipv4 drop
    iifname "wrenn-veth-*" ip saddr != { 10.11.0.0/16, 10.12.0.0/16 } drop
  }
  chain to_host {
    type filter hook input priority filter - 10; policy accept;
    iifname "wrenn-veth-*" ct state established,related accept
    iifname "wrenn-veth-*" drop
  }
  chain through_host {
    type filter hook forward priority filter - 10; policy accept;
    iifname "wrenn-veth-*" oifname "wrenn-veth-*" drop
    iifname "wrenn-veth-*" ip daddr @closed drop
    oifname "wrenn-veth-*" ct state established,related accept
    oifname "wrenn-veth-*" drop
  }
  chain out_of_host {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.12.0.0/16 oifname != "lo" oifname != "wrenn-veth-*" masquerade
  }
}
)";
  return text;
}

std::string render_slot_rules(const SlotPlan& plan) {
  return fmt::format(R"(table inet wrenn {{
  chain from_guest_early {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{tap}" ether saddr != {mac} drop
    iifname "{tap}" meta nfproto != ipv4 drop
    iifname "{tap}" ip saddr != {guest} drop
  }}
  chain to_namespace {{
    type filter hook input priority filter; policy drop;
    iifname "{tap}" icmp type echo-request accept
  }}
  chain through_namespace {{
    type filter hook forward priority filter; policy drop;
    iifname "{tap}" oifname "eth0" accept
    iifname "eth0" oifname "{tap}" ip daddr {guest} ct state established,related accept
    iifname "eth0" oifname "{tap}" ip daddr {guest} ct status dnat accept
  }}
  chain to_guest {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "eth0" ip daddr {reachable} dnat ip to {guest}
  }}
  chain from_guest {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "eth0" ip saddr {guest} snat ip to {peer}
  }}
}}
)",
                     fmt::arg("tap", kTapName), fmt::arg("mac", kGuestMac),
                     fmt::arg("guest", sys::to_string(kGuestAddress)),
                     fmt::arg("reachable", sys::to_string(plan.host_reachable)),
                     fmt::arg("peer", sys::to_string(plan.peer)));
}

}  // namespace wrenn::agent::network
