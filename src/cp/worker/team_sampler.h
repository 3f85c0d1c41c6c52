// Notes every 10 seconds what each team has, for its charts. One control plane of several does it; while none
// runs there are no samples, and no charge depends on them.
#pragma once

#include "core/db/lease.h"

namespace wrenn::cp::worker {

using async::Task;

class TeamSampler {
 public:
  // `database` must outlive this.
  TeamSampler(async::Executor executor, db::Database& database);

  // Ends by cancellation only.
  Task<> run();

 private:
  Task<> lead();
  Task<> round();

  db::Lease lease_;
};

}  // namespace wrenn::cp::worker
