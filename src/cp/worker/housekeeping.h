// What must happen some time after it was decided: the capsules and templates of a deleted team go, those of
// disabled users are paused, deleted accounts are erased, what has expired is thrown away. Each round looks
// for what is left to do; one that fails is repeated by the next. One control plane of several does it.
#pragma once

#include "core/async/event.h"
#include "core/db/lease.h"
#include "cp/services.h"

namespace wrenn::cp::worker {

class Housekeeping {
 public:
  // `services` must outlive this.
  Housekeeping(async::Executor executor, Services& services);

  // A round every limits::kHousekeepingPeriod and soon after wake(). Ends by cancellation only.
  Task<> run();
  void wake() noexcept;

 private:
  Task<> lead();
  Task<> round();
  Task<> end_capsules();
  Task<> pause_capsules();
  Task<> end_templates();
  Task<> erase_accounts();
  Task<> throw_away();

  Services& services_;
  db::Lease lease_;
  std::unique_ptr<db::Subscription> told_;
  async::Event woken_;
  bool wanted_ = false;
};

}  // namespace wrenn::cp::worker
