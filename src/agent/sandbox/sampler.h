// One sample of what a running sandbox uses.
#pragma once

#include "agent/metric_rings.h"
#include "agent/sandbox/assembly.h"

namespace wrenn::agent::sandbox {

class Sampler {
 public:
  // Begins to count CPU time now.
  Sampler(Host& host, std::shared_ptr<vmm::Machine> machine, std::shared_ptr<Guest> guest,
          const Record& record);

  // CPU: of the VMM process since the last sample, in percent of the sandbox's vCPUs, 0 … 100. Memory: what
  // the guest says it uses, at most what it has; the VMM's resident memory when it does not say. Disk:
  // allocated by its changes. Throws Error(canceled) only; what cannot be known is 0.
  Task<MetricPoint> sample();

 private:
  Host& host_;
  std::shared_ptr<vmm::Machine> machine_;
  std::shared_ptr<Guest> guest_;
  int vcpus_;
  std::int64_t memory_bytes_;
  std::optional<disk::DiskRecord> disk_;
  std::uint64_t ticks_ = 0;
  SteadyTime at_;
};

}  // namespace wrenn::agent::sandbox
