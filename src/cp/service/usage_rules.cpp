#include "cp/service/usage_rules.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace wrenn::cp::service {

using namespace std::chrono_literals;

static constexpr std::int64_t kDayUs = 86'400'000'000;

// Towards the past, also before 1970.
static std::int64_t floor_to(std::int64_t value, std::int64_t step) noexcept {
  const auto rest = value % step;
  return value - (rest < 0 ? rest + step : rest);
}

std::int64_t day_of(UnixTime at) noexcept {
  return floor_to(at.us, kDayUs) / kDayUs;
}

UnixTime begin_of_day(std::int64_t day) noexcept {
  return {day * kDayUs};
}

std::string day_text(std::int64_t day) {
  return to_rfc3339(begin_of_day(day)).substr(0, 10);
}

std::optional<std::int64_t> parse_day(std::string_view text) noexcept {
  if (text.size() != 10) return std::nullopt;
  const auto at = parse_rfc3339(fmt::format("{}T00:00:00Z", text));
  if (!at) return std::nullopt;
  return day_of(*at);
}

void split_by_day(UnixTime from, UnixTime until,
                  const std::function<void(std::int64_t, std::int64_t)>& each) {
  while (from < until) {
    const auto day = day_of(from);
    const auto end = std::min(until, begin_of_day(day + 1));
    each(day, end.us - from.us);
    from = end;
  }
}

void add_run(store::UsageByDay& sums, const store::Run& run, std::int64_t first, std::int64_t last,
             UnixTime at) {
  const auto from = std::max(run.started_at, begin_of_day(first));
  const auto until = std::min(run.ended_at.value_or(at), begin_of_day(last + 1));
  split_by_day(from, until, [&](std::int64_t day, std::int64_t us) {
    auto& sum = sums[day];
    sum.vcpu_ms += run.vcpus * us / 1000;
    sum.mib_ms += run.memory_mb * us / 1000;
  });
}

UnixTime ran_until(const store::Sandbox& row, const api::agent::SandboxInfo* fact, UnixTime seen_at,
                   UnixTime at) noexcept {
  auto until = seen_at;
  if (fact != nullptr && fact->status == model::SandboxState::paused && row.timeout_sec > 0)
    until = std::max(until, UnixTime{fact->last_active_at_us + row.timeout_sec * 1'000'000});
  return std::min(until, at);
}

static constexpr std::array<StatsRange, 5> kStatsRanges{{
    {"5m", 5min, 3s},
    {"1h", 1h, 30s},
    {"6h", 6h, 180s},
    {"24h", 24h, 720s},
    {"30d", 30 * 24h, 21'600s},
}};

const StatsRange* find_stats_range(std::string_view name) noexcept {
  for (const auto& range : kStatsRanges)
    if (range.name == name) return &range;
  return nullptr;
}

std::vector<store::TeamSample> bucket_maxima(const std::vector<store::TeamSample>& samples,
                                             std::chrono::seconds bucket) {
  const auto step = std::chrono::microseconds(bucket).count();
  std::vector<store::TeamSample> buckets;
  for (const auto& sample : samples) {
    const UnixTime begin{floor_to(sample.at.us, step)};
    if (buckets.empty() || buckets.back().at != begin) buckets.push_back({begin, {}});
    buckets.back().figures.raise_to(sample.figures);
  }
  return buckets;
}

MetricPoints merge_points(MetricPoints known, const MetricPoints& fresh, std::int64_t keep_seconds) {
  if (fresh.empty()) return known;
  const auto first = fresh.front().timestamp_unix, oldest = fresh.back().timestamp_unix - keep_seconds;
  std::erase_if(known, [&](const auto& point) {
    return point.timestamp_unix >= first || point.timestamp_unix < oldest;
  });
  known.insert(known.end(), fresh.begin(), fresh.end());
  return known;
}

}  // namespace wrenn::cp::service
