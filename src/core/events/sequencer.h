// Numbers new events, in whichever process has the lease for it.
#pragma once

#include "core/db/lease.h"
#include "core/events/stream.h"

namespace wrenn::events {

using async::Task;

class Sequencer {
 public:
  // `database` must outlive this.
  Sequencer(async::Executor executor, db::Database& database);

  // Ends by cancellation only.
  Task<> run();

 private:
  Task<> lead();

  async::Executor executor_;
  db::Database& database_;
  db::Lease lease_;
  async::Event woken_;
  bool asked_ = false;
};

}  // namespace wrenn::events
