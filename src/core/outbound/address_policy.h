// Which addresses a request may go to. URLs that strangers give (webhooks) must not reach what only this
// machine or its network can see: its own services, the metadata service of a cloud, a neighbour's database
// (SSRF, "server-side request forgery").
//
// Names and spellings are not judged at all, addresses are: the one that is about to be connected to, at the
// moment of the connection. So 2130706433, 0x7f.1, a redirecting name server and whatever else leads to
// 127.0.0.1 all end at the same check.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace wrenn::outbound {

// An address of IPv4 or IPv6. An IPv4 address in its IPv6 spelling (::ffff:a.b.c.d) is the IPv4 address.
class IpAddress {
 public:
  // Dotted quad or RFC 4291 §2.2, nothing else: no port, no brackets, no zone. Absent otherwise.
  static std::optional<IpAddress> parse(std::string_view text);
  // Absent for other families, and for a structure that is too short.
  static std::optional<IpAddress> from(const sockaddr* address, std::size_t size) noexcept;
  static IpAddress v4(std::uint32_t value) noexcept;  // 0x7f000001 is 127.0.0.1

  bool is_v4() const noexcept { return v4_; }
  std::uint32_t v4_value() const noexcept;                                       // of an IPv4 address
  const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }  // IPv4: the first four
  int bits() const noexcept { return v4_ ? 32 : 128; }
  std::string text() const;
  bool operator==(const IpAddress&) const = default;

 private:
  bool v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};
};

// "10.1.0.0/16", "fd00::/8", or one address.
class Network {
 public:
  // Throws Error(invalid_argument) that says what is wrong; bits behind the prefix must be zero.
  static Network parse(std::string_view text);
  bool contains(const IpAddress& address) const noexcept;
  std::string text() const;
  bool operator==(const Network&) const = default;

 private:
  IpAddress base_;
  int prefix_ = 0;
};

// What the address is if it is no public one: "loopback", "private", …; absent for a public one.
std::optional<std::string_view> why_not_public(const IpAddress& address) noexcept;

struct AddressPolicy {
  bool allow_private = false;    // true: anything, for servers that the operator has chosen
  std::vector<Network> allowed;  // besides public ones

  static AddressPolicy anywhere() { return {true, {}}; }
  // As why_not_public, but absent for what this policy allows.
  std::optional<std::string_view> why_refused(const IpAddress& address) const noexcept;
  bool operator==(const AddressPolicy&) const = default;
};

}  // namespace wrenn::outbound
