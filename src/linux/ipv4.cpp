#include "linux/ipv4.h"

#include <fmt/format.h>

#include "core/base/text.h"

namespace wrenn::sys {

std::string to_string(Ipv4 address) {
  return fmt::format("{}.{}.{}.{}", address.value >> 24, address.value >> 16 & 255, address.value >> 8 & 255,
                     address.value & 255);
}

std::string to_string(const Ipv4Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

std::optional<Ipv4> parse_ipv4(std::string_view text) noexcept {
  Ipv4 address;
  for (int part = 0; part < 4; ++part) {
    const auto dot = text.find('.');
    if ((part < 3) != (dot != std::string_view::npos)) return std::nullopt;
    const std::string_view digits = text.substr(0, dot);
    const auto number = parse_int<std::uint8_t>(digits);
    if (!number || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
    address.value = address.value << 8 | *number;
    text.remove_prefix(part < 3 ? dot + 1 : text.size());
  }
  return address;
}

std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) noexcept {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_ipv4(text.substr(0, slash));
  const auto length = parse_int<std::uint8_t>(text.substr(slash + 1));
  if (!address || !length || *length > 32) return std::nullopt;
  return Ipv4Prefix{*address, *length};
}

}  // namespace wrenn::sys
