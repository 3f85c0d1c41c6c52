// Samples of a sandbox, or of the host, in three resolutions (spec/vm.md §7): 10 min of single samples, 2 h of 30 s
// averages, 24 h of 5 min averages. Fixed memory: about 500 points of 32 bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "api/agent.h"

namespace wrenn::agent {

using MetricPoint = api::agent::MetricPoint;

// "5m" "10m" "1h" "2h" "6h" "12h" "24h" in seconds; absent for anything else.
std::optional<std::int64_t> parse_metrics_range(std::string_view text) noexcept;

class MetricRings {
 public:
  void add(const MetricPoint& sample);

  // Points not older than `range_seconds` before `now_unix`, oldest first, from the finest ring that reaches
  // so far. The averages' rings close with the average of the period that has begun.
  std::vector<MetricPoint> points(std::int64_t range_seconds, std::int64_t now_unix) const;

 private:
  struct Ring {
    std::int64_t period_seconds;  // 0: keeps every sample
    std::size_t capacity;
    std::deque<MetricPoint> closed{};
    // The period under way: sums, divided when it closes.
    double cpu = 0, memory = 0, disk = 0;
    int samples = 0;
    std::int64_t last_unix = 0;

    void add(const MetricPoint& sample);
    MetricPoint average() const;
    void push(const MetricPoint& point);
  };

  Ring fine_{0, 120};
  Ring half_minutes_{30, 240};
  Ring five_minutes_{300, 288};
};

}  // namespace wrenn::agent
