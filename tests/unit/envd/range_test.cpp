#include "envd/files/range.h"

#include <catch2/catch.hpp>

#include "envd/files/http_time.h"

using namespace wrenn::envd::files;
using Kind = Selection::Kind;

TEST_CASE("a range selects bytes of the file", "[envd]") {
  struct Case {
    const char* field;
    std::uint64_t size;
    Kind kind;
    std::uint64_t first, length;
  };
  const Case cases[] = {
      {"bytes=0-0", 10, Kind::part, 0, 1},          {"bytes=0-9", 10, Kind::part, 0, 10},
      {"bytes=0-10", 10, Kind::part, 0, 10},        {"bytes=9-", 10, Kind::part, 9, 1},
      {"bytes=-1", 10, Kind::part, 9, 1},           {"bytes=-11", 10, Kind::part, 0, 10},
      {"Bytes=2-3", 10, Kind::part, 2, 2},          {"bytes=0-18446744073709551615", 10, Kind::part, 0, 10},
      {"bytes=10-", 10, Kind::unsatisfiable, 0, 0}, {"bytes=10-11", 10, Kind::unsatisfiable, 0, 0},
      {"bytes=-0", 10, Kind::unsatisfiable, 0, 0},  {"bytes=0-", 0, Kind::unsatisfiable, 0, 0},
      {"bytes=-5", 0, Kind::unsatisfiable, 0, 0},   {"bytes=5-4", 10, Kind::whole, 0, 10},
      {"bytes=0-1,3-4", 10, Kind::whole, 0, 10},    {"bytes=", 10, Kind::whole, 0, 10},
      {"bytes=-", 10, Kind::whole, 0, 10},          {"bytes=--1", 10, Kind::whole, 0, 10},
      {"bytes=+1-2", 10, Kind::whole, 0, 10},       {"bytes=1-18446744073709551616", 10, Kind::whole, 0, 10},
      {"items=0-1", 10, Kind::whole, 0, 10},        {"", 10, Kind::whole, 0, 10},
  };
  for (const Case& one : cases) {
    INFO(one.field << " of " << one.size);
    const auto selection = select_range(one.field, one.size);
    CHECK(selection.kind == one.kind);
    CHECK(selection.range.first == one.first);
    CHECK(selection.range.length == one.length);
  }
  CHECK(select_range(std::nullopt, 7).range.length == 7);
}

TEST_CASE("HTTP times go both ways", "[envd]") {
  CHECK(to_http_time(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(parse_http_time("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  for (const std::time_t time : {std::time_t(0), std::time_t(951782400), std::time_t(4102444799)})
    CHECK(parse_http_time(to_http_time(time)) == time);
  for (const char* bad :
       {"", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
    CHECK_FALSE(parse_http_time(bad).has_value());
}
