#include "agent/metric_rings.h"

#include <catch2/catch.hpp>

using namespace wrenn::agent;

static constexpr std::int64_t kStart = 1'800'000'000;  // a multiple of 300

TEST_CASE("ranges have names", "[metrics]") {
  CHECK(parse_metrics_range("5m") == 300);
  CHECK(parse_metrics_range("24h") == 86'400);
  for (const char* wrong : {"", "5", "5M", "3m", "25h", "10m "})
    CHECK_FALSE(parse_metrics_range(wrong).has_value());
}

TEST_CASE("a young sandbox shows its samples in every range", "[metrics]") {
  MetricRings rings;
  CHECK(rings.points(600, kStart).empty());
  rings.add({.timestamp_unix = kStart, .cpu_pct = 10, .mem_bytes = 100, .disk_bytes = 7});
  for (const std::int64_t range : {300, 3'600, 86'400}) {
    const auto points = rings.points(range, kStart);
    REQUIRE(points.size() == 1);
    CHECK(points[0].cpu_pct == 10);
    CHECK(points[0].mem_bytes == 100);
    CHECK(points[0].disk_bytes == 7);
  }
}

TEST_CASE("coarse rings average and keep the time of the last sample", "[metrics]") {
  MetricRings rings;
  for (int i = 0; i < 12; ++i)  // one minute
    rings.add({.timestamp_unix = kStart + i * 5, .cpu_pct = i < 6 ? 20.0 : 40.0, .mem_bytes = i * 10});
  const auto points = rings.points(3'600, kStart + 60);
  REQUIRE(points.size() == 2);
  CHECK(points[0].cpu_pct == 20);
  CHECK(points[0].mem_bytes == 25);
  CHECK(points[0].timestamp_unix == kStart + 25);
  CHECK(points[1].cpu_pct == 40);
  CHECK(points[1].timestamp_unix == kStart + 55);
}

TEST_CASE("rings are bounded and ranges cut", "[metrics]") {
  MetricRings rings;
  const std::int64_t seconds = 30 * 3'600;
  for (std::int64_t at = 0; at < seconds; at += 5) rings.add({.timestamp_unix = kStart + at, .cpu_pct = 1});
  const std::int64_t now = kStart + seconds - 5;
  CHECK(rings.points(600, now).size() == 120);
  CHECK(rings.points(300, now).size() == 61);
  CHECK(rings.points(7'200, now).size() <= 241);
  CHECK(rings.points(7'200, now).size() >= 240);
  CHECK(rings.points(3'600, now).size() <= 121);
  CHECK(rings.points(86'400, now).size() <= 289);
  CHECK(rings.points(86'400, now).size() >= 288);
  CHECK(rings.points(86'400, now + 200'000).empty());
}
