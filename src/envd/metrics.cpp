#include "envd/metrics.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "envd/limits.h"

namespace wrenn::envd {

double cpu_used_pct(sys::CpuTimes before, sys::CpuTimes after) noexcept {
  before.busy += before.stolen;
  after.busy += after.stolen;
  return std::round(sys::busy_share(before, after).value_or(0) * 10'000) / 100;
}

async::Task<api::envd::Metrics> MetricsSource::read() {
  const auto age = SteadyClock::now() - last_at_;
  if (last_at_ == SteadyTime{} || age > limits::kCpuSampleOld) {
    last_ = sys::read_cpu_times();
    co_await async::sleep(limits::kCpuSampleWait);
  }
  if (last_at_ == SteadyTime{} || age > limits::kCpuSampleFresh) {
    const sys::CpuTimes times = sys::read_cpu_times();
    last_pct_ = cpu_used_pct(last_, times);
    last_ = times;
    last_at_ = SteadyClock::now();
  }
  api::envd::Metrics metrics;
  metrics.ts = now().seconds();
  metrics.cpu_count = ::sysconf(_SC_NPROCESSORS_ONLN);
  metrics.cpu_used_pct = last_pct_;
  const auto memory = sys::read_machine_memory();
  metrics.mem_total = static_cast<std::int64_t>(memory.total);
  metrics.mem_used = static_cast<std::int64_t>(memory.total - std::min(memory.available, memory.total));
  metrics.mem_cache = static_cast<std::int64_t>(memory.cached);
  metrics.mem_total_mib = metrics.mem_total >> 20;
  metrics.mem_used_mib = metrics.mem_used >> 20;
  struct statvfs disk{};
  if (::statvfs("/", &disk) != 0) throw_errno("ask for the size of the disk");
  metrics.disk_total = static_cast<std::int64_t>(disk.f_blocks * disk.f_frsize);
  metrics.disk_used = static_cast<std::int64_t>((disk.f_blocks - disk.f_bavail) * disk.f_frsize);
  co_return metrics;
}

}  // namespace wrenn::envd
