#include "core/outbound/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>

#include <cstring>

#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::outbound;

namespace {

IpAddress address(const std::string& text) {
  const auto out = IpAddress::parse(text);
  if (!out) FAIL(text << " is an address");
  return *out;
}

std::string why(const std::string& text) {
  return std::string(why_not_public(address(text)).value_or("public"));
}

}  // namespace

TEST_CASE("every block that is not public is refused from its first to its last address", "[outbound]") {
  struct Block {
    const char* first;
    const char* last;
    const char* what;
  };
  const Block blocks[] = {
      {"0.0.0.0", "0.255.255.255", "this network"},
      {"10.0.0.0", "10.255.255.255", "private"},
      {"100.64.0.0", "100.127.255.255", "shared by a carrier"},
      {"127.0.0.0", "127.255.255.255", "loopback"},
      {"168.63.129.16", "168.63.129.16", "the host of a cloud"},
      {"169.254.0.0", "169.254.255.255", "link-local"},
      {"172.16.0.0", "172.31.255.255", "private"},
      {"192.0.0.0", "192.0.0.255", "reserved for protocols"},
      {"192.0.2.0", "192.0.2.255", "documentation"},
      {"192.88.99.0", "192.88.99.255", "a relay to 6to4"},
      {"192.168.0.0", "192.168.255.255", "private"},
      {"198.18.0.0", "198.19.255.255", "for benchmarks"},
      {"198.51.100.0", "198.51.100.255", "documentation"},
      {"203.0.113.0", "203.0.113.255", "documentation"},
      {"224.0.0.0", "239.255.255.255", "multicast"},
      {"240.0.0.0", "255.255.255.255", "reserved"},
      {"::", "::", "no address"},
      {"::1", "::1", "loopback"},
      {"::2", "ff::ffff", "reserved"},
      {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "a translation to private IPv4"},
      {"100::", "100::ffff:ffff:ffff:ffff", "discarded"},
      {"100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"},
      {"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "a tunnel (Teredo)"},
      {"2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved for protocols"},
      {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
      {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a tunnel (6to4)"},
      {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
      {"4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"},
      {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"},
      {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"},
      {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"},
      {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
  };
  for (const auto& block : blocks) {
    CAPTURE(block.first, block.last);
    CHECK(why(block.first) == block.what);
    CHECK(why(block.last) == block.what);
  }
}

TEST_CASE("the addresses next to a block are public", "[outbound]") {
  for (const char* text :
       {"1.0.0.0",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
        "126.255.255.255", "128.0.0.0",       "168.63.129.15",   "168.63.129.17",   "169.253.255.255",
        "169.255.0.0",     "172.15.255.255",  "172.32.0.0",      "191.255.255.255", "192.0.1.0",
        "192.0.1.255",     "192.0.3.0",       "192.88.98.255",   "192.88.100.0",    "192.167.255.255",
        "192.169.0.0",     "198.17.255.255",  "198.20.0.0",      "198.51.99.255",   "198.51.101.0",
        "203.0.112.255",   "203.0.114.0",     "223.255.255.255", "8.8.8.8",         "2000::",
        "2001:200::",      "2001:db7:ffff::", "2001:db9::",      "2001:ffff::1",    "2003::",
        "2606:4700::1111", "3ffe:ffff::1",    "3fff:1000::"}) {
    CAPTURE(text);
    CHECK(why(text) == "public");
  }
}

TEST_CASE("an address that embeds another is judged by that one", "[outbound]") {
  CHECK(address("::ffff:127.0.0.1") == address("127.0.0.1"));
  CHECK(address("::ffff:7f00:1").text() == "127.0.0.1");
  CHECK(why("::ffff:10.1.2.3") == "private");
  CHECK(why("::ffff:8.8.8.8") == "public");
  CHECK(why("64:ff9b::127.0.0.1") == "loopback");
  CHECK(why("64:ff9b::a9fe:a9fe") == "link-local");
  CHECK(why("64:ff9b::8.8.8.8") == "public");
  CHECK(why("64:ff9b::1:808:808") == "reserved");  // behind the /96
  CHECK(why("::127.0.0.1") == "reserved");
  CHECK(why("::8.8.8.8") == "reserved");
}

TEST_CASE("only the plain spellings are addresses", "[outbound]") {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "0x7f.0.0.1", "2130706433", "127.1", "1.2.3.4 ", " 1.2.3.4",
        "1.2.3.4:80", "[::1]", "::1%lo", "fe80::1%1", "::ffff:256.0.0.1", "1:2:3", "localhost"}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("127.0.0.1\0x", 11)));
}

TEST_CASE("the address of a socket", "[outbound]") {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0x0a000001);
  const auto* plain = reinterpret_cast<const sockaddr*>(&v4);
  CHECK(IpAddress::from(plain, sizeof v4).value() == address("10.0.0.1"));
  CHECK_FALSE(IpAddress::from(plain, sizeof v4 - 1));
  CHECK_FALSE(IpAddress::from(nullptr, 0));

  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  ::inet_pton(AF_INET6, "::ffff:192.168.1.1", &v6.sin6_addr);
  const auto* mapped = reinterpret_cast<const sockaddr*>(&v6);
  CHECK(IpAddress::from(mapped, sizeof v6).value() == address("192.168.1.1"));
  CHECK_FALSE(IpAddress::from(mapped, sizeof(sockaddr_in)));

  sockaddr other{};
  other.sa_family = AF_UNIX;
  CHECK_FALSE(IpAddress::from(&other, sizeof v6));
}

TEST_CASE("networks contain what has their prefix", "[outbound]") {
  const auto half = Network::parse("10.128.0.0/9");
  CHECK(half.contains(address("10.128.0.0")));
  CHECK(half.contains(address("10.255.255.255")));
  CHECK(half.contains(address("::ffff:10.200.0.1")));
  CHECK_FALSE(half.contains(address("10.127.255.255")));
  CHECK_FALSE(half.contains(address("a80::")));  // begins with the same bits
  CHECK(Network::parse("0.0.0.0/0").contains(address("255.0.0.1")));
  CHECK_FALSE(Network::parse("0.0.0.0/0").contains(address("::1")));
  CHECK(Network::parse("fd00:1::/32").contains(address("fd00:1:ffff::1")));
  CHECK_FALSE(Network::parse("fd00:1::/32").contains(address("fd00:2::1")));
  CHECK(Network::parse("10.1.2.3").text() == "10.1.2.3/32");
  CHECK(Network::parse("10.1.2.3").contains(address("10.1.2.3")));
  CHECK_FALSE(Network::parse("10.1.2.3").contains(address("10.1.2.2")));
  CHECK(Network::parse("::1").text() == "::1/128");

  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.1/8",
                           "fd00::1/64", "fd00::/129", "10.0.0.0/8x", "example.com/8"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Network::parse(text), Error);
  }
}

TEST_CASE("a policy allows public addresses, and others only where it says so", "[outbound]") {
  AddressPolicy policy;
  CHECK_FALSE(policy.why_refused(address("8.8.8.8")));
  CHECK(policy.why_refused(address("10.1.2.3")) == std::string_view("private"));
  policy.allowed.push_back(Network::parse("10.1.0.0/16"));
  CHECK_FALSE(policy.why_refused(address("10.1.2.3")));
  CHECK_FALSE(policy.why_refused(address("::ffff:10.1.2.3")));
  CHECK(policy.why_refused(address("10.2.0.0")));
  CHECK(policy.why_refused(address("127.0.0.1")));
  CHECK_FALSE(AddressPolicy::anywhere().why_refused(address("127.0.0.1")));
}
