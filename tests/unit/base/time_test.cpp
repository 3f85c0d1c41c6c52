#include <catch2/catch.hpp>

#include "core/base/clock.h"

using namespace wrenn;

TEST_CASE("times are written and read as RFC 3339") {
  CHECK(to_rfc3339({0}) == "1970-01-01T00:00:00Z");
  CHECK(to_rfc3339({1'779'200'581'999'999}) == "2026-05-19T14:23:01Z");
  CHECK(to_rfc3339({-1}) == "1969-12-31T23:59:59Z");
  CHECK(parse_rfc3339("2026-05-19T14:23:01Z") == UnixTime{1'779'200'581'000'000});
  CHECK(parse_rfc3339("2026-05-19T14:23:01.5Z") == UnixTime{1'779'200'581'500'000});
  CHECK(parse_rfc3339("2026-05-19T14:23:01.123456789Z") == UnixTime{1'779'200'581'123'456});
  CHECK(parse_rfc3339("2026-05-19T16:23:01+02:00") == UnixTime{1'779'200'581'000'000});
  CHECK(parse_rfc3339("2026-05-19T14:23:01-00:30") == UnixTime{1'779'202'381'000'000});
  CHECK(parse_rfc3339("2024-02-29T00:00:00Z").has_value());
}

TEST_CASE("what is no time is refused") {
  for (const char* wrong : {"", "2026-05-19", "2026-05-19T14:23:01", "2026-13-19T14:23:01Z", "2026-02-29T14:23:01Z",
                            "2026-05-19T24:23:01Z", "2026-05-19T14:60:01Z", "2026-05-19T14:23:01.Z",
                            "2026-05-19T14:23:01+0200", "2026-05-19T14:23:01Zx", "2026-05-19 14:23:01Z", "x026-05-19T14:23:01Z"})
    CHECK_FALSE(parse_rfc3339(wrong).has_value());
}
