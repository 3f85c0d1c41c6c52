// GET /metrics: what the machine uses. Nothing runs in the background for it: the CPU share is that since the
// last question, or, if that was too long ago, over a moment now.
#pragma once

#include <optional>
#include <string_view>

#include "api/envd.h"
#include "core/async/task.h"
#include "core/base/clock.h"

namespace wrenn::envd {

// Clock ticks since boot, over all CPUs.
struct CpuTimes {
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
};
// The first line of /proc/stat; idle and waiting for disks are not busy. Absent when malformed.
std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) noexcept;
// 0 – 100 with two decimals; 0 when no time has passed.
double cpu_used_pct(const CpuTimes& before, const CpuTimes& after) noexcept;

class MetricsSource {
 public:
  // Throws SystemError, Error(canceled).
  async::Task<api::envd::Metrics> read();

 private:
  CpuTimes last_;
  SteadyTime last_at_{};  // epoch: never
  double last_pct_ = 0;
};

}  // namespace wrenn::envd
