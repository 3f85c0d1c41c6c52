#include "envd/guest_identity.h"

#include <catch2/catch.hpp>

using namespace wrenn::envd;

TEST_CASE("the hosts file gets one line of ours, however often", "[envd]") {
  const std::string start = "127.0.0.1 localhost\n# a comment\n10.0.0.1 db # wrenn is fast\n";
  const std::string once = hosts_with(start, "cl-1");
  CHECK(once == start + "127.0.1.1 cl-1 # wrenn\n");
  CHECK(hosts_with(once, "cl-1") == once);
  CHECK(hosts_with(once, "cl-2") == start + "127.0.1.1 cl-2 # wrenn\n");
  CHECK(hosts_with("", "a") == "127.0.1.1 a # wrenn\n");
  CHECK(hosts_with("no end of line", "a") == "no end of line\n127.0.1.1 a # wrenn\n");
}

TEST_CASE("host names", "[envd]") {
  for (const char* good : {"a", "capsule", "cl-0abc", "a.b", "A1"}) CHECK(is_host_name(good));
  for (const char* bad : {"", "-a", "a-", ".a", "a b", "a_b", "a\n", "ä"}) CHECK_FALSE(is_host_name(bad));
  CHECK(is_host_name(std::string(64, 'a')));
  CHECK_FALSE(is_host_name(std::string(65, 'a')));
}

TEST_CASE("the address of the host's events has one line", "[envd]") {
  const auto once = hosts_with_events(hosts_with("127.0.0.1 localhost\n", "cl-1"), "10.1.2.3");
  CHECK(once ==
        "127.0.0.1 localhost\n127.0.1.1 cl-1 # wrenn\n10.1.2.3 events.wrenn.local events.e2b.local # "
        "wrenn-events\n");
  CHECK(hosts_with_events(once, "10.1.2.3") == once);
  CHECK(hosts_with(once, "cl-1").find("10.1.2.3 events") != std::string::npos);
}
