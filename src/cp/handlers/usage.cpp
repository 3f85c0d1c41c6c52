#include "cp/handlers/usage.h"

#include <cmath>

#include "cp/limits.h"

namespace wrenn::cp::handlers {

static constexpr std::string_view kDefaultRange = "1h";

Task<> TeamUsage::stats(Request& request, Reply& reply) {
  const auto name = request.query_value("range").value_or(std::string(kDefaultRange));
  const auto* range = service::find_stats_range(name);
  if (range == nullptr) throw_error(ErrorCode::invalid_argument, "range: must be 5m, 1h, 6h, 24h or 30d");
  const auto stats = co_await services_.team_usage.stats(caller_of(request).team, *range);
  api::TeamStats view;
  view.range = name;
  view.current = {stats.current.running, stats.current.vcpus, stats.current.memory_mb};
  view.peaks = {stats.peaks.running, stats.peaks.vcpus, stats.peaks.memory_mb};
  for (const auto& [at, figures] : stats.series) {
    view.series.labels.push_back(to_rfc3339(at));
    view.series.running.push_back(figures.running);
    view.series.vcpus.push_back(figures.vcpus);
    view.series.memory_mb.push_back(figures.memory_mb);
  }
  co_await send_json(reply, 200, view);
}

static std::int64_t day_from(const Request& request, std::string_view name, std::int64_t otherwise) {
  const auto text = request.query_value(name);
  if (!text) return otherwise;
  const auto day = service::parse_day(*text);
  if (!day) throw_error(ErrorCode::invalid_argument, "{} must be a day such as 2026-05-19", name);
  return *day;
}

// In minutes, to four places (spec/data-model.md §1, daily_usage).
static double minutes(std::int64_t ms) noexcept {
  return std::round(static_cast<double>(ms) / 6.0) / 10'000;
}

Task<> TeamUsage::usage(Request& request, Reply& reply) {
  const auto last = day_from(request, "to", service::day_of(now()));
  const auto first = day_from(request, "from", last - (limits::kUsageDays - 1));
  if (first > last) throw_error(ErrorCode::invalid_argument, "from must not be after to");
  if (last - first >= limits::kUsageDaysMax)
    throw_error(ErrorCode::invalid_argument, "from and to must not span more than {} days",
                limits::kUsageDaysMax);
  const auto days = co_await services_.team_usage.days(caller_of(request).team, first, last);
  api::TeamUsage view;
  view.from = service::day_text(first);
  view.to = service::day_text(last);
  for (const auto& [day, used] : days)
    view.points.push_back({service::day_text(day), minutes(used.vcpu_ms), minutes(used.mib_ms)});
  co_await send_json(reply, 200, view);
}

}  // namespace wrenn::cp::handlers
