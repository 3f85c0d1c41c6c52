#include "cp/service/metrics_archive.h"

#include <array>

#include "core/async/timeout.h"
#include "core/json/fields.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/store/sandbox_metrics.h"

namespace wrenn::cp::service {

struct Tier {
  std::string_view name;  // and the range that is asked for
  std::int64_t seconds;
};
static constexpr std::array<Tier, 3> kTiers{{{"10m", 600}, {"2h", 7'200}, {"24h", 86'400}}};
static constexpr const Tier& kLast = kTiers.back();

static std::int64_t seconds_of(std::string_view range) noexcept {
  const auto number = parse_int<std::int64_t>(range.substr(0, range.size() - 1)).value_or(0);
  return number * (range.ends_with('h') ? 3'600 : 60);
}

void MetricsArchive::keep_paused(const store::Sandbox& row) {
  scope_.spawn(keep(row, true));
}

void MetricsArchive::keep_last(const store::Sandbox& row) {
  scope_.spawn(keep(row, false));
}

Task<> MetricsArchive::keep(store::Sandbox row, bool all) {
  std::exception_ptr failure;
  try {
    auto work = keep_now(row, all);
    co_await async::with_timeout(limits::kMetricsKeeping, "keeping the metrics of a capsule",
                                 std::move(work));
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (async::is_cancellation(failure)) std::rethrow_exception(failure);
  log::info("the metrics of a capsule were not kept",
            {{"sandbox", row.id.text()}, {"error", wrenn::describe(failure)}});
}

Task<> MetricsArchive::keep_now(const store::Sandbox& row, bool all) {
  std::array<MetricPoints, kTiers.size()> fresh;
  for (std::size_t i = 0; i < kTiers.size(); ++i) {
    if (!all && &kTiers[i] != &kLast) continue;
    api::agent::MetricsRequest request;
    request.sandbox_id = row.id.text();
    request.range = kTiers[i].name;
    auto answer = co_await hosts_.at(row.host).agent.metrics(std::move(request));
    fresh[i] = std::move(answer.points);
    if (all && fresh[i].empty()) co_return;  // it has not been sampled yet
  }
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    for (std::size_t i = 0; i < kTiers.size(); ++i) {
      const auto& tier = kTiers[i];
      if (!all && &tier != &kLast) store::delete_sandbox_metrics(connection, row.id, tier.name);
      if (fresh[i].empty()) continue;
      api::agent::MetricsResponse series;
      if (const auto known = store::sandbox_metrics(connection, row.id, tier.name))
        series = json::from_json<api::agent::MetricsResponse>(*known);
      series.points = merge_points(std::move(series.points), fresh[i], tier.seconds);
      store::set_sandbox_metrics(connection, row.id, tier.name, json::to_json(series), at);
    }
  };
  co_await database_.write(write);
}

Task<std::optional<MetricPoints>> MetricsArchive::find(model::SandboxId id, std::string range) {
  const auto seconds = seconds_of(range);
  auto read = [&](db::Connection& connection) {
    std::optional<std::string> text;
    // The finest that reaches so far; of a destroyed capsule there is only the last.
    for (const auto& tier : kTiers)
      if (!text && seconds <= tier.seconds) text = store::sandbox_metrics(connection, id, tier.name);
    return text;
  };
  const auto text = co_await database_.read(read);
  if (!text) co_return std::nullopt;
  auto points = json::from_json<api::agent::MetricsResponse>(*text).points;
  const auto from = now().seconds() - seconds;
  std::erase_if(points, [&](const auto& point) { return point.timestamp_unix < from; });
  co_return points;
}

}  // namespace wrenn::cp::service
