// The nftables rule sets, rendered from data: pure functions from values to text.
#pragma once

#include <string>
#include <vector>

#include "agent/network/slot.h"
#include "linux/ipv4.h"

namespace wrenn::agent::network {

// What guests may not reach, whatever else is allowed: this host's slots, private, link-local (with the
// metadata services of clouds), carrier-grade NAT, loopback, multicast and reserved ranges.
std::vector<sys::Ipv4Prefix> closed_destinations();

struct HostRules {
  std::vector<sys::Ipv4Prefix> closed = closed_destinations();
};

// The table `inet wrenn` of the host's own namespace, for all slots at once: creating a slot does not touch
// it. Replaces an earlier one atomically.
std::string render_host_rules(const HostRules& rules);
// The table `inet wrenn` inside the slot's namespace: address translation, and only the guest's own address
// and MAC come in from the TAP. For a namespace that has none yet: a transaction that deletes makes nft wait
// for a grace period of the kernel, 10 ms.
std::string render_slot_rules(const SlotPlan& plan);

}  // namespace wrenn::agent::network
