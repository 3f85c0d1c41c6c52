#include "envd/metrics.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"
#include "linux/fd.h"
#include "linux/procfs.h"

namespace wrenn::envd {

namespace {

constexpr std::size_t kStatBytes = 1024 * 1024;  // /proc/stat has a line per CPU and a long one of interrupts

CpuTimes read_cpu_times() {
  const auto times = parse_cpu_times(sys::read_file("/proc/stat", kStatBytes));
  if (!times) throw_error(ErrorCode::internal, "/proc/stat: its first line is not understood");
  return *times;
}

}  // namespace

std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) noexcept {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice; the guest times are part of user
  // and nice.
  constexpr std::size_t kIdle = 3, kIowait = 4, kCounted = 8;
  std::string_view line = proc_stat.substr(0, proc_stat.find('\n'));
  if (!line.starts_with("cpu ")) return std::nullopt;
  line.remove_prefix(4);
  CpuTimes times;
  std::size_t field = 0;
  for (; field < kCounted; ++field) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto ticks = parse_int<std::uint64_t>(line.substr(0, line.find(' ')));
    if (!ticks) break;
    times.total += *ticks;
    if (field != kIdle && field != kIowait) times.busy += *ticks;
    line.remove_prefix(std::min(line.find(' '), line.size()));
  }
  if (field <= kIdle) return std::nullopt;
  return times;
}

double cpu_used_pct(const CpuTimes& before, const CpuTimes& after) noexcept {
  // iowait may run backwards (man 5 proc).
  if (after.total <= before.total || after.busy < before.busy) return 0;
  const double share =
      static_cast<double>(after.busy - before.busy) / static_cast<double>(after.total - before.total);
  return std::round(std::min(share, 1.0) * 10'000) / 100;
}

async::Task<api::envd::Metrics> MetricsSource::read() {
  const auto age = SteadyClock::now() - last_at_;
  if (last_at_ == SteadyTime{} || age > limits::kCpuSampleOld) {
    last_ = read_cpu_times();
    co_await async::sleep(limits::kCpuSampleWait);
  }
  if (last_at_ == SteadyTime{} || age > limits::kCpuSampleFresh) {
    const CpuTimes times = read_cpu_times();
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
