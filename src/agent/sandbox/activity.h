// When a sandbox was last used, and when it will have been idle for too long. Arithmetic only: the caller
// brings the (monotonic) time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/base/clock.h"

namespace wrenn::agent::sandbox {

class Activity {
 public:
  // `timeout` zero: never idle for too long.
  Activity(SteadyTime now, std::chrono::seconds timeout) noexcept : last_(now), timeout_(timeout) {}

  void touch(SteadyTime now) noexcept {
    if (now > last_) last_ = now;
  }
  // A request that is under way is use, however long it takes and however silent it is.
  void begin(SteadyTime now) noexcept {
    touch(now);
    ++in_flight_;
  }
  void end(SteadyTime now) noexcept {
    touch(now);
    --in_flight_;
  }
  // A new time-out counts from now.
  void set_timeout(std::chrono::seconds timeout, SteadyTime now) noexcept {
    timeout_ = timeout;
    touch(now);
  }
  // The automatic pause failed: it is due again after a wait that doubles, until one succeeds or somebody
  // uses it.
  void defer(SteadyTime now) noexcept;
  void reset_deferral() noexcept { deferred_until_.reset(), deferral_ = {}; }

  // Absent: never, as things are.
  std::optional<SteadyTime> due_at() const noexcept;
  bool is_due(SteadyTime now) const noexcept {
    const auto due = due_at();
    return due && *due <= now;
  }

  int in_flight() const noexcept { return in_flight_; }
  SteadyTime last() const noexcept { return last_; }
  std::chrono::seconds timeout() const noexcept { return timeout_; }

 private:
  SteadyTime last_;
  std::chrono::seconds timeout_;
  int in_flight_ = 0;
  std::optional<SteadyTime> deferred_until_;
  SteadyClock::duration deferral_{};
};

}  // namespace wrenn::agent::sandbox
