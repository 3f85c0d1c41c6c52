#include "envd/metrics.h"

#include <catch2/catch.hpp>

using namespace wrenn::envd;

TEST_CASE("cpu times come from the first line of /proc/stat", "[envd]") {
  const auto times = parse_cpu_times("cpu  100 10 20 1000 50 1 2 3 40 5\ncpu0 1 2 3 4\n");
  REQUIRE(times);
  CHECK(times->busy == 136);
  CHECK(times->total == 1186);
  CHECK(parse_cpu_times("cpu  1 2 3 4")->total == 10);  // a kernel with fewer columns
  for (const char* bad : {"", "cpu0 1 2 3 4\n", "cpu  1 2 3\n", "cpu  a b c d\n", "cpu "})
    CHECK_FALSE(parse_cpu_times(bad).has_value());
}

TEST_CASE("the used share is of all CPUs", "[envd]") {
  CHECK(cpu_used_pct({0, 0}, {50, 200}) == 25.0);
  CHECK(cpu_used_pct({10, 100}, {11, 103}) == 33.33);
  CHECK(cpu_used_pct({10, 100}, {10, 100}) == 0);
  CHECK(cpu_used_pct({10, 100}, {9, 200}) == 0);
  CHECK(cpu_used_pct({0, 100}, {500, 200}) == 100);
}
