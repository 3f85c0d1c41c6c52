#include "agent/sandbox/sampler.h"

#include <algorithm>

#include "core/base/clock.h"
#include "linux/procfs.h"

namespace wrenn::agent::sandbox {

static std::uint64_t cpu_ticks(pid_t pid) {
  try {
    const auto stat = sys::read_proc_stat(pid);
    return stat ? stat->user_ticks + stat->system_ticks : 0;
  } catch (const Error&) {
    return 0;
  }
}

Sampler::Sampler(Host& host, std::shared_ptr<vmm::Machine> machine, std::shared_ptr<Guest> guest,
                 const Record& record)
    : host_(host),
      machine_(std::move(machine)),
      guest_(std::move(guest)),
      vcpus_(std::max(1, record.vcpus)),
      memory_bytes_(static_cast<std::int64_t>(record.memory_mb) << 20),
      disk_(record.disk),
      ticks_(cpu_ticks(machine_->pid())),
      at_(SteadyClock::now()) {}

Task<MetricPoint> Sampler::sample() {
  MetricPoint point;
  const auto guest = co_await guest_->metrics();

  const std::uint64_t ticks = cpu_ticks(machine_->pid());
  const SteadyTime at = SteadyClock::now();
  const double seconds = std::chrono::duration<double>(at - at_).count();
  if (ticks > ticks_ && seconds > 0) {
    const double used =
        static_cast<double>(ticks - ticks_) / static_cast<double>(sys::clock_ticks_per_second());
    point.cpu_pct = std::clamp(100 * used / seconds / vcpus_, 0.0, 100.0);
  }
  ticks_ = ticks;
  at_ = at;

  if (guest) {
    point.mem_bytes = std::clamp<std::int64_t>(guest->mem_used, 0, memory_bytes_);
  } else {
    try {
      const auto resident = sys::resident_bytes(machine_->pid());
      point.mem_bytes = std::min(static_cast<std::int64_t>(resident.value_or(0)), memory_bytes_);
    } catch (const Error&) {
    }
  }
  if (disk_) {
    try {
      auto ask = [&mechanisms = host_.mechanisms, disk = *disk_] { return mechanisms.disk_bytes(disk); };
      point.disk_bytes = static_cast<std::int64_t>(co_await async::offload(host_.sys, std::move(ask)));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
    }
  }
  point.timestamp_unix = now().seconds();
  co_return point;
}

}  // namespace wrenn::agent::sandbox
