// The arithmetic of usage and figures; pure.
//
// Days are UTC and counted since 1970-01-01. A clock that is set back makes no time negative and counts none
// twice; what it says while it is ahead is believed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/agent.h"
#include "cp/store/sandboxes.h"
#include "cp/store/team_samples.h"
#include "cp/store/usage.h"

namespace wrenn::cp::service {

std::int64_t day_of(UnixTime at) noexcept;
UnixTime begin_of_day(std::int64_t day) noexcept;
std::string day_text(std::int64_t day);                                 // "2026-05-19"
std::optional<std::int64_t> parse_day(std::string_view text) noexcept;  // absent for a day that is none

// Microseconds that fall into each day; a run that ends before it begins has none.
void split_by_day(UnixTime from, UnixTime until, const std::function<void(std::int64_t, std::int64_t)>& each);

// Adds what `run` used of the days from `first` to `last`, up to `at` if it still runs.
void add_run(store::UsageByDay& sums, const store::Run& run, std::int64_t first, std::int64_t last,
             UnixTime at);

// When a run ended that nobody saw end: it was last known to run at `seen_at`, and `at` it ran no more. One
// that its host paused had been running until it had been idle for its time; of what is gone, nothing is
// charged that nobody has seen.
UnixTime ran_until(const store::Sandbox& row, const api::agent::SandboxInfo* fact, UnixTime seen_at,
                   UnixTime at) noexcept;

struct StatsRange {
  std::string_view name;
  std::chrono::seconds length, bucket;
};
// "5m" "1h" "6h" "24h" "30d" (spec/rest-api.md §5.4); null for another.
const StatsRange* find_stats_range(std::string_view name) noexcept;
// The maxima of each bucket that has a sample; `samples` are in order.
std::vector<store::TeamSample> bucket_maxima(const std::vector<store::TeamSample>& samples,
                                             std::chrono::seconds bucket);

using MetricPoints = std::vector<api::agent::MetricPoint>;
// What is known of a time series after the host told `fresh`: that replaces its own stretch, since the last
// point may have been the average of a period that had only begun.
MetricPoints merge_points(MetricPoints known, const MetricPoints& fresh, std::int64_t keep_seconds);

}  // namespace wrenn::cp::service
