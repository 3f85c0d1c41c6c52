// GET /metrics: what the machine uses. Nothing runs in the background for it: the CPU share is that since the
// last question, or, if that was too long ago, over a moment now.
#pragma once

#include "api/envd.h"
#include "core/async/task.h"
#include "core/base/clock.h"
#include "linux/procfs.h"

namespace wrenn::envd {

// 0 – 100 with two decimals; 0 when no time has passed. What the host gave to others while we wanted to run
// counts as used: the guest has no more to give.
double cpu_used_pct(sys::CpuTimes before, sys::CpuTimes after) noexcept;

class MetricsSource {
 public:
  // Throws SystemError, Error(canceled).
  async::Task<api::envd::Metrics> read();

 private:
  sys::CpuTimes last_;
  SteadyTime last_at_{};  // epoch: never
  double last_pct_ = 0;
};

}  // namespace wrenn::envd
