// What a machine is made with on this host: found anew each time, because kernels and VMMs are installed
// while the agent runs.
#pragma once

#include <string>

#include "agent/sandbox/host.h"

namespace wrenn::agent::sandbox {

struct Means {
  vmm::Vmm* vmm = nullptr;
  templates::Kernel kernel;
  vmm::Acceleration acceleration = vmm::Acceleration::tcg;

  // What a snapshot must fit.
  snapshot::ResumeHost resume_host() const;
};

// `kernel_version` as find_kernel() takes it. Throws Error(failed_precondition) with the remedy.
Task<Means> find_means(Host& host, std::string kernel_version = {});

}  // namespace wrenn::agent::sandbox
