#include "cp/service/usage.h"

#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/changes.h"

namespace wrenn::cp::service {

Task<TeamStats> Usage::stats(model::TeamId team, const StatsRange& range) {
  const auto at = now();
  auto read = [&](db::Connection& connection) {
    TeamStats stats;
    stats.current = store::figures_of(connection, team);
    stats.peaks =
        store::team_peaks(connection, team, limits::kTeamMaximaPeriod, before(at, limits::kTeamPeaksOf), at);
    stats.peaks.raise_to(stats.current);
    const auto period =
        range.length <= limits::kTeamSamplesKept ? limits::kTeamSamplePeriod : limits::kTeamMaximaPeriod;
    const auto samples = store::team_samples(connection, team, period, before(at, range.length), at);
    stats.series = bucket_maxima(samples, range.bucket);
    return stats;
  };
  co_return co_await database_.read(read);
}

Task<store::UsageByDay> Usage::days(model::TeamId team, std::int64_t first, std::int64_t last) {
  const auto at = now();
  auto read = [&](db::Connection& connection) { return usage_of(connection, team, first, last, at); };
  co_return co_await database_.read(read);
}

store::UsageByDay usage_of(db::Connection& connection, const model::TeamId& team, std::int64_t first,
                           std::int64_t last, UnixTime at) {
  const auto today = day_of(at);
  last = std::min(last, today);
  const auto next = std::min(store::next_usage_day(connection).value_or(today), today);
  auto days = store::daily_usage(connection, team, first, std::min(last, next - 1));
  if (const auto live = std::max(first, next); live <= last) {
    const auto add = [&](const store::Run& run) { add_run(days, run, live, last, at); };
    store::runs_between(connection, team, begin_of_day(live), begin_of_day(last + 1), add);
    if (last == today) days.try_emplace(today);
  }
  return days;
}

// The first day of which all runs are kept, if `day` was the one when they were pruned last. Of the first two
// days a part may be gone: the next day counts a little after its midnight only.
static std::int64_t first_kept_day(std::int64_t day) {
  constexpr auto kDays = std::chrono::duration_cast<std::chrono::days>(limits::kUsageRunsKept).count();
  return day - kDays + 2;
}

// Sums of `day` and later ones are made anew; false if some of them could not be.
static bool reopen(db::Connection& connection, std::int64_t day) {
  const auto next = store::next_usage_day(connection);
  if (next && day < first_kept_day(*next)) return false;
  store::reopen_usage(connection, day);
  return true;
}

bool roll_up_one_day(db::Connection& connection, UnixTime at) {
  const auto today = day_of(at);
  // The clock had been ahead: what is not over cannot have been summed up. Or it is behind.
  if (!reopen(connection, today))
    log::error(
        "the clock is far behind days that are summed up already: set it right; until then no usage is summed up",
        {{"today", day_text(today)}});
  const auto day = store::next_usage_day(connection).value_or(today);
  if (day >= day_of(before(at, limits::kUsageSettles))) return false;
  std::map<model::TeamId, store::Usage> by_team;
  const auto add = [&](const store::Run& run) {
    store::UsageByDay days;
    add_run(days, run, day, day, at);
    for (const auto& [_, used] : days) {
      auto& sum = by_team[run.team];
      sum.vcpu_ms += used.vcpu_ms;
      sum.mib_ms += used.mib_ms;
    }
  };
  store::runs_between(connection, std::nullopt, begin_of_day(day), begin_of_day(day + 1), add);
  store::set_daily_usage(connection, day, by_team);
  return true;
}

void note_usage(db::Connection& connection, model::SandboxState from, const store::Sandbox& row, UnixTime at,
                const std::optional<UnixTime>& until) {
  using enum model::SandboxState;
  switch (row.status) {
    case running:
      if (from != running) store::open_run(connection, row, at);
      return;
    // From here on the user has no use of it; how long the host takes to end it is not his matter.
    case stopping:
    case paused:
    case stopped:
    case missing:
    case error:
      break;
    // It runs on while it is paused and while it is set back to a checkpoint, or has not begun.
    case pending:
    case starting:
    case pausing:
    case resuming:
      return;
  }
  if (from == paused || from == stopped || from == missing || from == error) return;
  const auto end = until ? std::min(*until, at) : at;
  store::close_run(connection, row.id, end);
  // An end that is learned late may belong to a day that was summed up already.
  if (until) reopen(connection, std::max(day_of(end), first_kept_day(day_of(at))));
}

}  // namespace wrenn::cp::service
