#include "agent/host_sampler.h"

#include <catch2/catch.hpp>

#include "../coroutine_test.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::agent;

static HostReading reading(std::int64_t second, std::uint64_t busy, std::uint64_t total) {
  return {.at = UnixTime{second * 1'000'000},
          .cpu = {.busy = busy, .total = total},
          .mem_bytes = second,
          .disk_bytes = second * 2};
}

TEST_CASE("a point of the host: CPU since the last reading, the rest as it is now", "[metrics]") {
  const auto point = point_between(reading(100, 1000, 9000), reading(105, 1150, 9400));
  REQUIRE(point);
  CHECK(point->timestamp_unix == 105);
  CHECK(point->cpu_pct == 37.5);
  CHECK(point->mem_bytes == 105);
  CHECK(point->disk_bytes == 210);
  CHECK_FALSE(point_between(reading(100, 1000, 9000), reading(105, 1000, 9000)));
  CHECK_FALSE(point_between(reading(100, 1000, 9000), reading(105, 999, 9400)));
  CHECK_FALSE(point_between(reading(100, 1000, 9000), reading(105, 10, 40)));
}

TEST_CASE("stolen time is no work of this host", "[metrics]") {
  auto before = reading(1, 0, 0), after = reading(2, 100, 400);
  after.cpu.stolen = 200;
  CHECK(point_between(before, after)->cpu_pct == 25);
}

TEST_CASE("memory in use is what no new program could have", "[metrics]") {
  CHECK(used_memory(sys::parse_meminfo("MemTotal: 10 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\n")) == 6 * 1024);
  CHECK(used_memory(sys::parse_meminfo("MemTotal: 10 kB\nMemAvailable: 11 kB\n")) == 0);
  for (const char* odd : {"", "\n", "MemAvailable: 4 kB\n", "MemTotal: kB\n", "MemTotal: -1 kB\n", "XMemTotal: 5 kB\n"}) {
    CAPTURE(odd);
    CHECK_THROWS_AS(used_memory(sys::parse_meminfo(odd)), Error);
  }
}

TEST_CASE("this machine can be read, and a directory that is not there is an error", "[metrics]") {
  const HostReading now = read_host("/");
  CHECK(now.mem_bytes > 0);
  CHECK(now.mem_bytes < static_cast<std::int64_t>(sys::read_machine_memory().total));
  CHECK(now.disk_bytes > 0);
  CHECK(now.cpu.total > 0);
  CHECK_THROWS_AS(read_host("/nowhere/at/all"), SystemError);
}

static async::Task<> failures_leave_gaps() {
  async::ThreadPool threads("sys", 1);
  int asked = 0;
  HostSampler sampler(threads, [&asked] {
    ++asked;
    if (asked == 3 || asked == 4) throw_error(ErrorCode::internal, "no reading {}", asked);
    const std::int64_t second = now().seconds() - 100 + asked;
    return reading(second, static_cast<std::uint64_t>(asked) * 10, static_cast<std::uint64_t>(asked) * 100);
  });
  CHECK(sampler.points(600).empty());
  for (int i = 0; i < 6; ++i) co_await sampler.sample();
  CHECK(asked == 6);
  const auto points = sampler.points(600);
  REQUIRE(points.size() == 3);  // of 2, 5 (since 2) and 6
  for (const auto& point : points) CHECK(point.cpu_pct == 10);
}
TEST_CASE("a reading that fails is left out, and the next one goes on", "[metrics]") {
  test::run(failures_leave_gaps());
}
