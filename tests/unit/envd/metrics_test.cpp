#include "envd/metrics.h"

#include <catch2/catch.hpp>

using namespace wrenn::envd;
using wrenn::sys::CpuTimes;

TEST_CASE("the used share is of all CPUs, with two decimals", "[envd]") {
  CHECK(cpu_used_pct({.total = 0}, {.busy = 50, .total = 200}) == 25.0);
  CHECK(cpu_used_pct({.busy = 10, .total = 100}, {.busy = 11, .total = 103}) == 33.33);
  CHECK(cpu_used_pct({.busy = 10, .total = 100}, {.busy = 10, .total = 100}) == 0);
  CHECK(cpu_used_pct({.busy = 10, .total = 100}, {.busy = 9, .total = 200}) == 0);
}

TEST_CASE("what the host took away counts as used", "[envd]") {
  CHECK(cpu_used_pct({.busy = 10, .stolen = 5, .total = 100}, {.busy = 20, .stolen = 20, .total = 200}) == 25.0);
}
