// What teams use and have used. What is charged are the intervals in which capsules ran (store/usage.h);
// samples are for charts only.
#pragma once

#include "cp/service/usage_rules.h"
#include "cp/store/team_samples.h"
#include "cp/store/usage.h"

namespace wrenn::cp::service {

using async::Task;

struct TeamStats {
  store::TeamFigures current, peaks;
  std::vector<store::TeamSample> series;
};

class Usage {
 public:
  // Must outlive this.
  explicit Usage(db::Database& database) : database_(database) {}

  // All throw what the database throws.
  Task<TeamStats> stats(model::TeamId team, const StatsRange& range);
  // The days from `first` to `last` on which the team used something, and today: what it has used so far.
  Task<store::UsageByDay> days(model::TeamId team, std::int64_t first, std::int64_t last);

 private:
  db::Database& database_;
};

// Within a transaction.

// What days() answers at `at`.
store::UsageByDay usage_of(db::Connection& connection, const model::TeamId& team, std::int64_t first,
                           std::int64_t last, UnixTime at);
// Sums of one day that is over; false if there is none left. A day counts as over limits::kUsageSettles after
// midnight.
bool roll_up_one_day(db::Connection& connection, UnixTime at);
// What a change of a capsule's status means to its usage; `until` is when it was last known to run, if that
// was earlier than the change.
void note_usage(db::Connection& connection, model::SandboxState from, const store::Sandbox& row, UnixTime at,
                const std::optional<UnixTime>& until = {});

}  // namespace wrenn::cp::service
