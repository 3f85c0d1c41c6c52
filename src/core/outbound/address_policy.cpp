#include "core/outbound/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::outbound {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0,    0,
                                                     0, 0, 0, 0, 0xff, 0xff};  // RFC 4291 §2.5.5.2

struct V4Block {
  std::uint32_t base;
  int prefix;
  std::string_view what;
};

constexpr std::uint32_t quad(unsigned a, unsigned b, unsigned c, unsigned d) noexcept {
  return a << 24 | b << 16 | c << 8 | d;
}

// IANA "IPv4 Special-Purpose Address Registry" (RFC 6890), those that are not globally reachable, and
// multicast. 192.0.0.0/24 as a whole, though single addresses of it are global: nobody serves webhooks there.
constexpr V4Block kV4Blocks[] = {
    {quad(0, 0, 0, 0), 8, "this network"},             // RFC 791 §3.2; Linux takes 0.0.0.0 for itself
    {quad(10, 0, 0, 0), 8, "private"},                 // RFC 1918
    {quad(100, 64, 0, 0), 10, "shared by a carrier"},  // RFC 6598
    {quad(127, 0, 0, 0), 8, "loopback"},               // RFC 1122 §3.2.1.3
    {quad(168, 63, 129, 16), 32,
     "the host of a cloud"},                   // learn.microsoft.com: what is IP address 168.63.129.16
    {quad(169, 254, 0, 0), 16, "link-local"},  // RFC 3927; metadata services of clouds
    {quad(172, 16, 0, 0), 12, "private"},      // RFC 1918
    {quad(192, 0, 0, 0), 24, "reserved for protocols"},  // RFC 6890 §2.1
    {quad(192, 0, 2, 0), 24, "documentation"},           // RFC 5737
    {quad(192, 88, 99, 0), 24, "a relay to 6to4"},       // RFC 7526
    {quad(192, 168, 0, 0), 16, "private"},               // RFC 1918
    {quad(198, 18, 0, 0), 15, "for benchmarks"},         // RFC 2544
    {quad(198, 51, 100, 0), 24, "documentation"},        // RFC 5737
    {quad(203, 0, 113, 0), 24, "documentation"},         // RFC 5737
    {quad(224, 0, 0, 0), 4, "multicast"},                // RFC 5771
    {quad(240, 0, 0, 0), 4, "reserved"},                 // RFC 1112 §4; with 255.255.255.255, RFC 919
};

constexpr bool has_prefix(std::uint32_t address, std::uint32_t base, int prefix) noexcept {
  return ((address ^ base) >> (32 - prefix)) == 0;
}

bool has_prefix(const std::array<std::uint8_t, 16>& address, const std::array<std::uint8_t, 16>& base,
                int prefix) noexcept {
  const auto whole = static_cast<std::size_t>(prefix / 8);
  if (!std::equal(base.begin(), base.begin() + static_cast<std::ptrdiff_t>(whole), address.begin()))
    return false;
  const int rest = prefix % 8;
  return rest == 0 || ((address[whole] ^ base[whole]) >> (8 - rest)) == 0;
}

struct V6Block {
  std::array<std::uint8_t, 16> base;
  int prefix;
  std::string_view what;
};

// IANA "IPv6 Special-Purpose Address Registry" and "IPv6 Address Space": the first that fits names the
// address.
constexpr V6Block kV6Blocks[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 128, "no address"},        // ::, RFC 4291 §2.5.2
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "loopback"},          // ::1, RFC 4291 §2.5.3
    {{0xfc}, 7, "private"},                                                       // RFC 4193
    {{0xfe, 0x80}, 10, "link-local"},                                             // RFC 4291 §2.5.6
    {{0xfe, 0xc0}, 10, "site-local"},                                             // RFC 3879
    {{0xff}, 8, "multicast"},                                                     // RFC 4291 §2.7
    {{0x01, 0x00}, 64, "discarded"},                                              // 100::/64, RFC 6666
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "a translation to private IPv4"},  // RFC 8215
    {{0x20, 0x01, 0x00, 0x00}, 32, "a tunnel (Teredo)"},                          // RFC 4380
    {{0x20, 0x01}, 23, "reserved for protocols"},                                 // 2001::/23, RFC 2928
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},                              // RFC 3849
    {{0x20, 0x02}, 16, "a tunnel (6to4)"},  // RFC 3056: ends wherever IPv4 ends
    {{0x3f, 0xff}, 20, "documentation"},    // 3fff::/20, RFC 9637
};
constexpr std::array<std::uint8_t, 16> kGlobalUnicast{
    0x20};  // 2000::/3, RFC 4291 §2.4: all that is given out
constexpr std::array<std::uint8_t, 16> kTranslated{0x00, 0x64, 0xff, 0x9b};  // 64:ff9b::/96, RFC 6052 §2.1

}  // namespace

IpAddress IpAddress::v4(std::uint32_t value) noexcept {
  IpAddress out;
  for (int i = 0; i < 4; ++i)
    out.bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return out;
}

std::uint32_t IpAddress::v4_value() const noexcept {
  return quad(bytes_[0], bytes_[1], bytes_[2], bytes_[3]);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.size() != std::strlen(terminated.c_str())) return std::nullopt;
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, terminated.c_str(), &v4.sin_addr) == 1)
    return IpAddress::v4(ntohl(v4.sin_addr.s_addr));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (::inet_pton(AF_INET6, terminated.c_str(), &v6.sin6_addr) != 1) return std::nullopt;
  return from(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

std::optional<IpAddress> IpAddress::from(const sockaddr* address, std::size_t size) noexcept {
  if (address == nullptr || size < sizeof(sa_family_t)) return std::nullopt;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return v4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6 || size < sizeof(sockaddr_in6)) return std::nullopt;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  IpAddress out;
  out.v4_ = false;
  std::memcpy(out.bytes_.data(), &in.sin6_addr, out.bytes_.size());
  if (!std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), out.bytes_.begin())) return out;
  return v4(quad(out.bytes_[12], out.bytes_[13], out.bytes_[14], out.bytes_[15]));
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

Network Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base)
    throw_error(ErrorCode::invalid_argument,
                "\"{}\" is no network: it looks like 10.1.0.0/16, fd00:1::/32 or 10.1.2.3", text);
  Network out;
  out.base_ = *base;
  out.prefix_ = base->bits();
  if (slash != text.npos) {
    const auto prefix = parse_int<int>(text.substr(slash + 1));
    if (!prefix || *prefix < 0 || *prefix > base->bits())
      throw_error(ErrorCode::invalid_argument,
                  "\"{}\" is no network: behind the slash stands a number from 0 to {}", text, base->bits());
    out.prefix_ = *prefix;
  }
  const auto& bytes = base->bytes();
  for (int bit = out.prefix_; bit < base->bits(); ++bit) {
    if ((bytes[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0)
      throw_error(ErrorCode::invalid_argument,
                  "\"{}\" is no network: it has bits behind its prefix; write /{} for one address", text,
                  base->bits());
  }
  return out;
}

bool Network::contains(const IpAddress& address) const noexcept {
  return address.is_v4() == base_.is_v4() && has_prefix(address.bytes(), base_.bytes(), prefix_);
}

std::string Network::text() const {
  return fmt::format("{}/{}", base_.text(), prefix_);
}

std::optional<std::string_view> why_not_public(const IpAddress& address) noexcept {
  if (address.is_v4()) {
    const auto value = address.v4_value();
    for (const auto& block : kV4Blocks)
      if (has_prefix(value, block.base, block.prefix)) return block.what;
    return std::nullopt;
  }
  const auto& bytes = address.bytes();
  if (has_prefix(bytes, kTranslated, 96))  // reaches the IPv4 address at its end
    return why_not_public(IpAddress::v4(quad(bytes[12], bytes[13], bytes[14], bytes[15])));
  for (const auto& block : kV6Blocks)
    if (has_prefix(bytes, block.base, block.prefix)) return block.what;
  if (!has_prefix(bytes, kGlobalUnicast, 3)) return "reserved";
  return std::nullopt;
}

std::optional<std::string_view> AddressPolicy::why_refused(const IpAddress& address) const noexcept {
  if (allow_private) return std::nullopt;
  const auto why = why_not_public(address);
  if (why && std::any_of(allowed.begin(), allowed.end(),
                         [&](const Network& network) { return network.contains(address); }))
    return std::nullopt;
  return why;
}

}  // namespace wrenn::outbound
