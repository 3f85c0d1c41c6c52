#include "cp/worker/usage_rollup.h"

#include <algorithm>

#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/service/usage.h"
#include "cp/store/sandbox_metrics.h"
#include "cp/worker/attempt.h"

namespace wrenn::cp::worker {

UsageRollup::UsageRollup(async::Executor executor, db::Database& database, const Config& config)
    : lease_(executor, database, "usage rollup"), config_(config) {}

Task<> UsageRollup::run() {
  auto work = [this] { return lead(); };
  co_await lease_.run(work);
}

Task<> UsageRollup::lead() {
  // What ended while nobody watched is written down first, also where the host does not answer at all.
  co_await async::sleep(config_.host_lost_after + config_.reconcile_period);
  for (;;) {
    auto work = round();
    co_await attempt("days that are over are not summed up yet; the next round tries again", std::move(work));
    co_await async::sleep(limits::kUsageRollupPeriod);
  }
}

Task<> UsageRollup::round() {
  auto one_day = [](db::Connection& connection) { return service::roll_up_one_day(connection, now()); };
  while (co_await lease_.write(one_day)) {
  }
  co_await prune();
}

Task<> UsageRollup::prune() {
  const auto at = now();
  // What is not summed up is not deleted: the days before this one were, a moment ago.
  auto some = [&](db::Connection& connection) {
    return std::max(
        store::prune_runs(connection, service::before(at, limits::kUsageRunsKept), limits::kPruneRows),
        store::prune_sandbox_metrics(connection, service::before(at, limits::kSandboxMetricsKept),
                                     limits::kPruneRows));
  };
  while (co_await lease_.write(some) == limits::kPruneRows) {
  }
}

}  // namespace wrenn::cp::worker
