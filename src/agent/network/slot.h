// A network slot: the network of one sandbox on this host. Every guest has the same address and MAC in a
// namespace of its own, so a snapshot resumes in any slot; the host tells guests apart by the slot's
// addresses (spec/vm.md §3).
//
//   guest 169.254.0.21/30 ── tap0 169.254.0.22 │ eth0 10.12.x.y+1/31 ══ veth ══ wrenn-veth-I 10.12.x.y │ host
//                            └───── namespace wrenn-ns-I ─────┘                  route 10.11.a.b/32 via peer
//
// Host to guest: 10.11.a.b, rewritten to the guest's address in the namespace. Guest to the world: rewritten
// to the peer's address in the namespace, and to the host's own on the way out (host table, rules.h).
//
// All functions block for some milliseconds and belong on a thread of the sys pool; they need root
// (CAP_NET_ADMIN and CAP_SYS_ADMIN) and throw SystemError, Error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/fd.h"
#include "linux/ipv4.h"

namespace wrenn::agent::network {

inline constexpr int kFirstSlot = 1;
inline constexpr int kLastSlot = 32767;
inline constexpr sys::Ipv4 kGuestAddress = sys::Ipv4::of(169, 254, 0, 21);
inline constexpr sys::Ipv4 kGatewayAddress = sys::Ipv4::of(169, 254, 0, 22);
inline constexpr const char* kGuestMac = "02:FC:00:00:00:05";
// The gateway's, in every slot: a resumed guest's neighbour table stays true.
inline constexpr const char* kGatewayMac = "02:FC:00:00:00:06";
inline constexpr const char* kTapName = "tap0";

// The names and addresses of slot `index`: pure arithmetic. `index` must be in range (checked).
struct SlotPlan {
  int index = 0;
  sys::Ipv4 host_reachable;  // at which the host reaches the guest
  sys::Ipv4 veth;            // host's end
  sys::Ipv4 peer;            // namespace's end
  std::string netns;
  std::string veth_name;  // "wrenn-veth-7"; see slot_plan.cpp for large ones
};
SlotPlan plan_slot(int index);
// The slot that an object of ours belongs to, from "wrenn-ns-7" or "wrenn-veth-7"; absent for other names.
std::optional<int> slot_of_name(std::string_view name) noexcept;

// Sets the slot up, complete. Leftovers of the same index are removed first. Nothing is left behind on
// failure.
void create_slot(int index);
// Opens the TAP for a VMM; the descriptor is good in any thread and process. EBUSY while another VMM has it.
sys::Fd open_slot_tap(int index);
// The namespace for the VMM process. Throws Error(not_found).
sys::Fd open_slot_netns(int index);
// Whether all of the slot is there: a slot of an earlier run that may be used again.
bool slot_is_complete(int index);
// Removes whatever of the slot exists. Idempotent; does everything it can, then throws the first failure.
void destroy_slot(int index);
// Indices of all slots of which anything exists on this host.
std::vector<int> list_slots();

// Why slots cannot be made here (no root, no TUN, no nftables…), with the remedy; empty when they can.
std::string network_problem();

}  // namespace wrenn::agent::network
