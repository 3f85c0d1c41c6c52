// What this host uses as a whole, over time: the capsules, and everything else that runs on it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/metric_rings.h"
#include "core/async/offload.h"
#include "core/base/clock.h"
#include "linux/procfs.h"

namespace wrenn::agent {

// What the kernel says at one moment.
struct HostReading {
  UnixTime at;
  sys::CpuTimes cpu;
  std::int64_t mem_bytes = 0;   // MemTotal − MemAvailable: what no new program could have
  std::int64_t disk_bytes = 0;  // used of the file system that holds the agent's directory
};
// Blocks. Throws SystemError, Error(internal) when /proc has an unknown form.
HostReading read_host(const std::string& directory);

// Throws Error(internal) when there is no MemTotal.
std::int64_t used_memory(const sys::MachineMemory& memory);

// CPU: busy share of all CPUs between the two, 0 … 100 (proc(5): neither idle nor iowait is busy, and what the
// machine below gave to others, steal, is not our work either). Absent when that cannot be told
// (sys::busy_share). The rest is that of `after`.
std::optional<MetricPoint> point_between(const HostReading& before, const HostReading& after) noexcept;

class HostSampler {
 public:
  // `read` runs on a thread of `sys`, which must outlive this: read_host(), or what a test says.
  HostSampler(async::ThreadPool& sys, std::function<HostReading()> read)
      : sys_(sys), read_(std::move(read)) {}

  // Samples until it is cancelled: the first point after limits::kSampleFirst, then every kSampleInterval.
  // Throws Error(canceled) only.
  async::Task<> run();
  // One sample. What cannot be read is left out; the first failure of several in a row is logged.
  async::Task<> sample();

  // As MetricRings::points().
  std::vector<MetricPoint> points(std::int64_t range_seconds) const;

 private:
  async::ThreadPool& sys_;
  const std::function<HostReading()> read_;
  std::optional<HostReading> last_;
  bool failing_ = false;
  MetricRings rings_;
};

}  // namespace wrenn::agent
