// What teams used: intervals in which capsules ran, and sums of days.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::store {

struct Run {
  model::TeamId team;
  std::int64_t vcpus = 0, memory_mb = 0;
  UnixTime started_at;
  std::optional<UnixTime> ended_at;  // absent: it runs
};
struct Usage {
  std::int64_t vcpu_ms = 0, mib_ms = 0;
  bool operator==(const Usage&) const = default;
};
using UsageByDay = std::map<std::int64_t, Usage>;  // by days since 1970-01-01

// All throw as db::Connection::query().

// A capsule runs from `at` on, or from the end of its last run if that is later. Does nothing if it ran
// already.
void open_run(db::Connection& connection, const Sandbox& row, UnixTime at);
// Not before its begin. Does nothing if it did not run.
void close_run(db::Connection& connection, const model::SandboxId& id, UnixTime at);

// Runs with a part between the two times, of one team or of all.
void runs_between(db::Connection& connection, const std::optional<model::TeamId>& team, UnixTime from,
                  UnixTime until, const std::function<void(const Run&)>& each);

// The first day of which there are no sums yet: that of the earliest run at first, absent without any.
std::optional<std::int64_t> next_usage_day(db::Connection& connection);
// As they are in daily_usage, without days of which there is nothing.
UsageByDay daily_usage(db::Connection& connection, const model::TeamId& team, std::int64_t first,
                       std::int64_t last);
// The sums of a day, in place of what was there; the next day is the next one.
void set_daily_usage(db::Connection& connection, std::int64_t day,
                     const std::map<model::TeamId, Usage>& by_team);
// Sums of this day and later ones are made anew.
void reopen_usage(db::Connection& connection, std::int64_t day);

// Return how many they deleted; at most `limit`.
std::int64_t prune_runs(db::Connection& connection, UnixTime before, std::int64_t limit);

}  // namespace wrenn::cp::store
