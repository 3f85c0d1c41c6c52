#include "agent/host_sampler.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "agent/limits.h"
#include "core/base/error.h"
#include "core/log/log.h"

namespace wrenn::agent {

std::int64_t used_memory(const sys::MachineMemory& memory) {
  if (memory.total == 0) throw_error(ErrorCode::internal, "/proc/meminfo: it has no MemTotal");
  return static_cast<std::int64_t>(memory.total - std::min(memory.available, memory.total));
}

HostReading read_host(const std::string& directory) {
  HostReading reading;
  reading.cpu = sys::read_cpu_times();
  reading.mem_bytes = used_memory(sys::read_machine_memory());
  struct statvfs disk{};
  if (statvfs(directory.c_str(), &disk) != 0) throw_errno("examine the file system of {}", directory);
  // statvfs(3): in units of f_frsize. f_bfree, not f_bavail: what is reserved for root is not used.
  reading.disk_bytes = static_cast<std::int64_t>(
      static_cast<std::uint64_t>(disk.f_blocks - std::min(disk.f_bfree, disk.f_blocks)) * disk.f_frsize);
  reading.at = now();
  return reading;
}

std::optional<MetricPoint> point_between(const HostReading& before, const HostReading& after) noexcept {
  const auto share = sys::busy_share(before.cpu, after.cpu);
  if (!share) return std::nullopt;
  return MetricPoint{.timestamp_unix = after.at.seconds(),
                     .cpu_pct = *share * 100,
                     .mem_bytes = after.mem_bytes,
                     .disk_bytes = after.disk_bytes};
}

async::Task<> HostSampler::sample() {
  std::exception_ptr failure;
  try {
    auto read = read_;
    HostReading reading = co_await async::offload(sys_, std::move(read));
    failing_ = false;
    if (last_) {
      if (const auto point = point_between(*last_, reading)) rings_.add(*point);
    }
    last_ = reading;
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (async::is_cancellation(failure)) std::rethrow_exception(failure);
  if (!std::exchange(failing_, true))
    log::warn("the host's own metrics have a gap: they cannot be read", {{"error", describe(failure)}});
}

async::Task<> HostSampler::run() {
  co_await sample();  // from which the first point counts its CPU time
  auto interval = std::chrono::duration_cast<SteadyClock::duration>(limits::kSampleFirst);
  for (;;) {
    co_await async::sleep(interval);
    interval = limits::kSampleInterval;
    co_await sample();
  }
}

std::vector<MetricPoint> HostSampler::points(std::int64_t range_seconds) const {
  return rings_.points(range_seconds, now().seconds());
}

}  // namespace wrenn::agent
