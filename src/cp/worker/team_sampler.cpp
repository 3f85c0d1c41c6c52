#include "cp/worker/team_sampler.h"

#include <algorithm>

#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/store/team_samples.h"
#include "cp/worker/attempt.h"

namespace wrenn::cp::worker {

TeamSampler::TeamSampler(async::Executor executor, db::Database& database)
    : lease_(executor, database, "team sampler") {}

Task<> TeamSampler::run() {
  auto work = [this] { return lead(); };
  co_await lease_.run(work);
}

Task<> TeamSampler::lead() {
  for (;;) {
    auto work = round();
    co_await attempt("what teams have was not noted; the next round goes on", std::move(work));
    co_await async::sleep(limits::kTeamSamplePeriod);
  }
}

Task<> TeamSampler::round() {
  const auto at = now();
  auto note = [&](db::Connection& connection) {
    for (const std::chrono::microseconds period : {limits::kTeamSamplePeriod, limits::kTeamMaximaPeriod})
      store::sample_teams(connection, period, at, service::before(at, limits::kTeamQuiet));
  };
  co_await lease_.write(note);
  auto prune = [&](db::Connection& connection) {
    return std::max(
        store::prune_team_samples(connection, limits::kTeamSamplePeriod,
                                  service::before(at, limits::kTeamSamplesKept), limits::kPruneRows),
        store::prune_team_samples(connection, limits::kTeamMaximaPeriod,
                                  service::before(at, limits::kTeamMaximaKept), limits::kPruneRows));
  };
  while (co_await lease_.write(prune) == limits::kPruneRows) {
  }
}

}  // namespace wrenn::cp::worker
