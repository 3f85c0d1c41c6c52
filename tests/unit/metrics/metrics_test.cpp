#include "core/metrics/metrics.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using namespace wrenn::metrics;

TEST_CASE("series are made once and keep their place", "[metrics]") {
  Registry registry;
  Counter& first = registry.counter("wrenn_test_total", "Things.", {{"kind", "a"}});
  for (int i = 0; i < 100; ++i)
    registry.counter("wrenn_test_total", "Things.", {{"kind", std::to_string(i)}});
  first.add();
  first.add(2);
  REQUIRE(&first == &registry.counter("wrenn_test_total", "Things.", {{"kind", "a"}}));
  REQUIRE(first.value() == 3);
}

TEST_CASE("rendering follows the text format", "[metrics]") {
  Registry registry;
  registry.counter("wrenn_b_total", "Count of\nb.").add(5);
  registry.gauge("wrenn_a", "A gauge.", {{"path", "a\"b\\c\nd"}}).set(1.5);
  REQUIRE(registry.render() ==
          "# HELP wrenn_a A gauge.\n"
          "# TYPE wrenn_a gauge\n"
          "wrenn_a{path=\"a\\\"b\\\\c\\nd\"} 1.5\n"
          "# HELP wrenn_b_total Count of\\nb.\n"
          "# TYPE wrenn_b_total counter\n"
          "wrenn_b_total 5\n");
}

TEST_CASE("histogram buckets are cumulative and inclusive", "[metrics]") {
  Registry registry;
  Histogram& histogram = registry.histogram("wrenn_h_seconds", "H.", {0.5, 1}, {{"stage", "boot"}});
  for (const double value : {0.25, 0.5, 0.75, 1.0, 2.0}) histogram.observe(value);
  REQUIRE(registry.render() ==
          "# HELP wrenn_h_seconds H.\n"
          "# TYPE wrenn_h_seconds histogram\n"
          "wrenn_h_seconds_bucket{stage=\"boot\",le=\"0.5\"} 2\n"
          "wrenn_h_seconds_bucket{stage=\"boot\",le=\"1\"} 4\n"
          "wrenn_h_seconds_bucket{stage=\"boot\",le=\"+Inf\"} 5\n"
          "wrenn_h_seconds_sum{stage=\"boot\"} 4.5\n"
          "wrenn_h_seconds_count{stage=\"boot\"} 5\n");
}

TEST_CASE("gauges can be refreshed when they are read", "[metrics]") {
  Registry registry;
  Gauge& gauge = registry.gauge("wrenn_now", "Now.");
  int asked = 0;
  registry.before_render([&] { gauge.set(++asked); });
  registry.render();
  REQUIRE(registry.render().find("wrenn_now 2\n") != std::string::npos);
}

TEST_CASE("wrong names and kinds are bugs that say so", "[metrics]") {
  Registry registry;
  registry.counter("wrenn_x", "X.");
  REQUIRE_THROWS_AS(registry.gauge("wrenn_x", "X."), wrenn::Error);
  REQUIRE_THROWS_AS(registry.gauge("1x", "X."), wrenn::Error);
  REQUIRE_THROWS_AS(registry.gauge("", "X."), wrenn::Error);
  REQUIRE_THROWS_AS(registry.gauge("wrenn_y", "Y.", {{"a-b", ""}}), wrenn::Error);
}
