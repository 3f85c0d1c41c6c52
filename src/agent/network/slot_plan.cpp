#include "agent/network/slot.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::agent::network {

namespace {

constexpr std::string_view kNetnsPrefix = "wrenn-ns-";
constexpr std::string_view kVethPrefix = "wrenn-veth-";

// An interface's name has at most 15 bytes, too few for five digits after the prefix. From 10000 on the
// number is written as "x" and three digits in base 36: 10000 is x7ps, 32767 is xpa7.
constexpr int kFirstLongIndex = 10'000;
constexpr int kBase = 36;
constexpr std::size_t kLongDigits = 3;

std::string veth_number(int index) {
  if (index < kFirstLongIndex) return std::to_string(index);
  std::string text = "x";
  for (const int unit : {kBase * kBase, kBase, 1})
    text += "0123456789abcdefghijklmnopqrstuvwxyz"[index / unit % kBase];
  return text;
}

std::optional<int> parse_decimal(std::string_view digits) noexcept {
  const auto index = parse_int<int>(digits);
  if (!index || *index < kFirstSlot || *index > kLastSlot || digits.front() == '0') return std::nullopt;
  return index;
}

std::optional<int> parse_veth_number(std::string_view text) noexcept {
  if (!text.starts_with('x')) {
    const auto index = parse_decimal(text);
    return index && *index < kFirstLongIndex ? index : std::nullopt;
  }
  if (text.size() != 1 + kLongDigits) return std::nullopt;
  int index = 0;
  for (const char c : text.substr(1)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'z')) return std::nullopt;
    index = index * kBase + (digit ? c - '0' : c - 'a' + 10);
  }
  if (index < kFirstLongIndex || index > kLastSlot) return std::nullopt;
  return index;
}

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
  plan.veth_name = fmt::format("{}{}", kVethPrefix, veth_number(index));
  return plan;
}

std::optional<int> slot_of_name(std::string_view name) noexcept {
  if (name.starts_with(kNetnsPrefix)) return parse_decimal(name.substr(kNetnsPrefix.size()));
  if (name.starts_with(kVethPrefix)) return parse_veth_number(name.substr(kVethPrefix.size()));
  return std::nullopt;
}

}  // namespace wrenn::agent::network
