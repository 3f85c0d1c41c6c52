// Sums of the days that are over, and the end of what is kept no longer. One control plane of several does
// it. A day is summed up when it is due, however long ago that was; until then it is added up for whoever
// asks.
#pragma once

#include "core/db/lease.h"
#include "cp/config.h"

namespace wrenn::cp::worker {

using async::Task;

class UsageRollup {
 public:
  // Both must outlive this.
  UsageRollup(async::Executor executor, db::Database& database, const Config& config);

  // Rounds every limits::kUsageRollupPeriod. Ends by cancellation only.
  Task<> run();

 private:
  Task<> lead();
  Task<> round();
  Task<> prune();

  db::Lease lease_;
  const Config& config_;
};

}  // namespace wrenn::cp::worker
