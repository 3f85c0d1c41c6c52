#include "core/config/settings_text.h"

#include <catch2/catch.hpp>

#include "core/config/env.h"
#include "core/config/toml.h"

using namespace wrenn::config;
using namespace std::chrono_literals;

TEST_CASE("durations are read with units, largest first", "[config]") {
  CHECK(read_duration("30s") == 30s);
  CHECK(read_duration(" 5m ") == 5min);
  CHECK(read_duration("1h30m") == 90min);
  CHECK(read_duration("1d2h3m4s5ms") == 24h + 2h + 3min + 4s + 5ms);
  CHECK(read_duration("250ms") == 250ms);
  CHECK(read_duration("0") == 0ms);
  CHECK(read_duration("0s") == 0ms);
  for (const auto* bad : {"", " ", "5", "s", "-5s", "+5s", "5 s", "1m1h", "1s1s", "5min", "5S", "1.5h",
                          "1h30", "9223372036854775807d", "99999999999999999999s", "106751991167d25h"}) {
    INFO(bad);
    CHECK_FALSE(read_duration(bad).has_value());
  }
}

TEST_CASE("the text of a duration gives the same duration", "[config]") {
  for (const auto value :
       {0ms, 1ms, 999ms, 1000ms, 61'001ms, 3'600'000ms, 90'000'000ms, 86'400'000ms * 365}) {
    INFO(duration_text(value));
    CHECK(read_duration(duration_text(value)) == value);
  }
  CHECK(duration_text(90min) == "1h30m");
}

TEST_CASE("addresses: the accepted forms and no others", "[config]") {
  for (const auto* good : {":8000", "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:1", "localhost:0",
                           "a-b.example:65535", "unix:/run/x.sock"}) {
    INFO(good);
    CHECK(is_address(good));
  }
  for (const auto* bad :
       {"", ":", "8000", "host", "host:", "host:65536", "host:-1", "host:8x", "ho st:80", "::1:80", "[]:80",
        "[::1]", "[::1:80", "[::1]80", "unix:", "unix:relative", "http://x:80", "a/b:80"}) {
    INFO(bad);
    CHECK_FALSE(is_address(bad));
  }
}

TEST_CASE("booleans and lists", "[config]") {
  CHECK(read_bool("TRUE") == true);
  CHECK(read_bool(" off ") == false);
  CHECK_FALSE(read_bool("").has_value());
  CHECK_FALSE(read_bool("2").has_value());
  CHECK(read_list("").empty());
  CHECK(read_list(",a,, b ,") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("an empty variable counts as unset", "[config]") {
  const auto environment = environment_of({{"A", "x"}, {"B", ""}});
  CHECK(environment("A") == "x");
  CHECK_FALSE(environment("B").has_value());
  CHECK_FALSE(environment("C").has_value());
}

TEST_CASE("TOML becomes flat keys with their lines", "[config]") {
  const auto entries = parse_toml("a = 1\n[t]\nb = \"x\"\n[t.u]\nc.d = [ \"y\" ]\n", "f");
  std::vector<std::pair<std::string, int>> seen;
  for (const auto& entry : entries) seen.emplace_back(entry.key, entry.line);
  CHECK(seen == std::vector<std::pair<std::string, int>>{
                    {"a", 1}, {"t", 2}, {"t.b", 3}, {"t.u", 4}, {"t.u.c", 5}, {"t.u.c.d", 5}});
  CHECK(std::get<std::vector<std::string>>(entries.back().value) == std::vector<std::string>{"y"});
}
