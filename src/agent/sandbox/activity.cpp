#include "agent/sandbox/activity.h"

#include <algorithm>

#include "agent/limits.h"

namespace wrenn::agent::sandbox {

void Activity::defer(SteadyTime now) noexcept {
  using Duration = SteadyClock::duration;
  deferral_ = deferral_ == Duration{} ? Duration(limits::kTtlRetryFirst)
                                      : std::min(deferral_ * 2, Duration(limits::kTtlRetryMax));
  deferred_until_ = now + deferral_;
}

std::optional<SteadyTime> Activity::due_at() const noexcept {
  if (timeout_ <= std::chrono::seconds::zero() || in_flight_ > 0) return std::nullopt;
  const SteadyTime due = last_ + timeout_;
  return deferred_until_ ? std::max(due, *deferred_until_) : due;
}

}  // namespace wrenn::agent::sandbox
