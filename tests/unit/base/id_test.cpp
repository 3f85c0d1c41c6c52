#include "core/base/id.h"

#include <catch2/catch.hpp>
#include <set>

using namespace wrenn;

namespace {
struct ThingKind {
  static constexpr std::string_view kPrefix = "th-";
};
using ThingId = Id<ThingKind>;
}  // namespace

TEST_CASE("well-known ids have known texts") {
  CHECK(ThingId().text() == "th-0000000000000000000000000");
  CHECK(ThingId::from_number(35).text() == "th-000000000000000000000000z");
  CHECK(ThingId::from_number(36).digits() == "0000000000000000000000010");
}

TEST_CASE("the largest id is 2^128-1 and nothing above it parses") {
  IdBytes all;
  all.fill(0xff);
  const std::string largest = to_base36(all);
  CHECK(largest == "f5lxx1zz5pnorynqglhzmsp33");
  CHECK(parse_base36(largest) == all);
  CHECK_FALSE(parse_base36("f5lxx1zz5pnorynqglhzmsp34").has_value());
  CHECK_FALSE(parse_base36("zzzzzzzzzzzzzzzzzzzzzzzzz").has_value());
}

TEST_CASE("only the exact form parses") {
  for (const char* wrong : {"", "th-", "th-000000000000000000000000", "th-00000000000000000000000000",
                            "th-000000000000000000000000A", "TH-0000000000000000000000000",
                            "0000000000000000000000000", "th-00000000000000000000000 0", "cl-0000000000000000000000000"})
    CHECK_FALSE(ThingId::parse(wrong).has_value());
}

TEST_CASE("random ids round-trip and differ") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto id = ThingId::random();
    CHECK(ThingId::parse(id.text()) == id);
    seen.insert(id.text());
  }
  CHECK(seen.size() == 1000);
}
