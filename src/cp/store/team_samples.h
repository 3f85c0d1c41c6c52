// What teams have at once, over time.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

// As the quotas count: what runs or is about to. Of a paused capsule half the memory counts
// (spec/rest-api.md §5.4).
struct TeamFigures {
  std::int64_t running = 0, vcpus = 0, memory_mb = 0;
  void raise_to(const TeamFigures& other) noexcept {
    running = std::max(running, other.running);
    vcpus = std::max(vcpus, other.vcpus);
    memory_mb = std::max(memory_mb, other.memory_mb);
  }
  bool operator==(const TeamFigures&) const = default;
};
struct TeamSample {
  UnixTime at;
  TeamFigures figures;
  bool operator==(const TeamSample&) const = default;
};

// All throw as db::Connection::query().

TeamFigures figures_of(db::Connection& connection, const model::TeamId& team);

// Notes what every team has `at` this time, as maxima of the periods of this length: a second sample within
// one only raises them. Teams of which nothing is left are noted as having nothing if something ran after
// `quiet_since`.
void sample_teams(db::Connection& connection, std::chrono::microseconds period, UnixTime at,
                  UnixTime quiet_since);
// In order.
std::vector<TeamSample> team_samples(db::Connection& connection, const model::TeamId& team,
                                     std::chrono::microseconds period, UnixTime from, UnixTime until);
TeamFigures team_peaks(db::Connection& connection, const model::TeamId& team,
                       std::chrono::microseconds period, UnixTime from, UnixTime until);
// Returns how many were deleted, at most `limit`.
std::int64_t prune_team_samples(db::Connection& connection, std::chrono::microseconds period, UnixTime before,
                                std::int64_t limit);

}  // namespace wrenn::cp::store
