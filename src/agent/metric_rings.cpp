#include "agent/metric_rings.h"

namespace wrenn::agent {

std::optional<std::int64_t> parse_metrics_range(std::string_view text) noexcept {
  if (text == "5m") return 300;
  if (text == "10m") return 600;
  if (text == "1h") return 3'600;
  if (text == "2h") return 7'200;
  if (text == "6h") return 21'600;
  if (text == "12h") return 43'200;
  if (text == "24h") return 86'400;
  return std::nullopt;
}

void MetricRings::Ring::push(const MetricPoint& point) {
  closed.push_back(point);
  if (closed.size() > capacity) closed.pop_front();
}

MetricPoint MetricRings::Ring::average() const {
  return {.timestamp_unix = last_unix,
          .cpu_pct = cpu / samples,
          .mem_bytes = static_cast<std::int64_t>(memory / samples),
          .disk_bytes = static_cast<std::int64_t>(disk / samples)};
}

void MetricRings::Ring::add(const MetricPoint& sample) {
  if (period_seconds == 0) return push(sample);
  if (samples > 0 && sample.timestamp_unix / period_seconds != last_unix / period_seconds) {
    push(average());
    cpu = memory = disk = 0;
    samples = 0;
  }
  cpu += sample.cpu_pct;
  memory += static_cast<double>(sample.mem_bytes);
  disk += static_cast<double>(sample.disk_bytes);
  ++samples;
  last_unix = sample.timestamp_unix;
}

void MetricRings::add(const MetricPoint& sample) {
  fine_.add(sample);
  half_minutes_.add(sample);
  five_minutes_.add(sample);
}

std::vector<MetricPoint> MetricRings::points(std::int64_t range_seconds, std::int64_t now_unix) const {
  const Ring& ring = range_seconds <= 600 ? fine_ : range_seconds <= 7'200 ? half_minutes_ : five_minutes_;
  std::vector<MetricPoint> out;
  for (const MetricPoint& point : ring.closed)
    if (point.timestamp_unix >= now_unix - range_seconds) out.push_back(point);
  if (ring.samples > 0 && ring.last_unix >= now_unix - range_seconds) out.push_back(ring.average());
  return out;
}

}  // namespace wrenn::agent
