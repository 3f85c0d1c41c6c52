// Doorbell: one coroutine waits, anybody on the loop rings. A ring without a waiter is remembered, so that it
// is not lost between a look at the state and the wait.
#pragma once

#include "core/async/task.h"
#include "core/base/clock.h"

namespace wrenn::envd::process {

using async::Task;

class Doorbell {
 public:
  explicit Doorbell(async::Executor executor) : timer_(executor) {}
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  void ring();
  // True when rung since the last wait; false when `time` comes first. Throws Error(canceled).
  Task<bool> wait_until(SteadyTime time);
  Task<> wait();

 private:
  asio::steady_timer timer_;
  bool rung_ = false;
};

}  // namespace wrenn::envd::process
