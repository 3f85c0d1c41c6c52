#include "agent/network/slot.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::agent::network {

namespace {

constexpr std::string_view kNetnsPrefix = "wrenn-ns-";
constexpr std::string_view kVethPrefix = "wrenn-veth-";

sys::Ipv4 in_net(std::uint8_t second, unsigned number) {
  return sys::Ipv4::of(10, second, static_cast<std::uint8_t>(number >> 8),
                       static_cast<std::uint8_t>(number & 255));
}

}  // namespace

SlotPlan plan_slot(int index) {
  WRENN_CHECK(index >= kFirstSlot && index <= kLastSlot);
  const auto number = static_cast<unsigned>(index);
  SlotPlan plan;
  plan.index = index;
  plan.host_reachable = in_net(11, number);
  plan.veth = in_net(12, 2 * number);
  plan.peer = in_net(12, 2 * number + 1);
  plan.netns = fmt::format("{}{}", kNetnsPrefix, index);
  plan.veth_name = fmt::format("{}{}", kVethPrefix, index);
  return plan;
}

std::optional<int> slot_of_name(std::string_view name) noexcept {
  for (const std::string_view prefix : {kNetnsPrefix, kVethPrefix}) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view digits = name.substr(prefix.size());
    const auto index = parse_int<int>(digits);
    if (index && *index >= kFirstSlot && *index <= kLastSlot && digits.front() != '0') return index;
  }
  return std::nullopt;
}

}  // namespace wrenn::agent::network
