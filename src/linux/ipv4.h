// IPv4 addresses as numbers, for formulas over them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wrenn::sys {

struct Ipv4 {
  std::uint32_t value = 0;  // host byte order: 10.0.0.1 is 0x0a000001

  static constexpr Ipv4 of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept {
    return {static_cast<std::uint32_t>(a) << 24 | static_cast<std::uint32_t>(b) << 16 |
            static_cast<std::uint32_t>(c) << 8 | d};
  }
  constexpr auto operator<=>(const Ipv4&) const = default;
};

struct Ipv4Prefix {
  Ipv4 address;              // host bits may be set: then it is an interface address
  std::uint8_t length = 32;  // 0 … 32

  constexpr auto operator<=>(const Ipv4Prefix&) const = default;
};

std::string to_string(Ipv4 address);              // "10.0.0.1"
std::string to_string(const Ipv4Prefix& prefix);  // "10.0.0.0/31"
// Strict dotted quad of decimal numbers without leading zeros; the prefix needs its "/n". Absent when
// malformed.
std::optional<Ipv4> parse_ipv4(std::string_view text) noexcept;
std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) noexcept;

}  // namespace wrenn::sys
