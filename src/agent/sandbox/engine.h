// The VMM of this host and how it is accelerated, found out when first needed: QEMU or a kernel may be
// installed while the agent runs, and the probe of KVM boots a kernel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/template/catalogue.h"
#include "agent/vmm/machine.h"
#include "core/async/event.h"
#include "core/async/offload.h"

namespace wrenn::agent::sandbox {

using async::Task;

// Both block. Tests bring their own.
struct EngineSource {
  // Throws Error(failed_precondition) with the remedy when there is no usable VMM.
  std::function<std::unique_ptr<vmm::Vmm>()> make_vmm;
  std::function<vmm::Acceleration(const vmm::Vmm& vmm, const templates::Kernel& kernel)> find_acceleration;
};

class Engine {
 public:
  Engine(async::Executor executor, async::ThreadPool& sys, EngineSource source)
      : sys_(sys), source_(std::move(source)), changed_(std::move(executor)) {}

  // Throws as EngineSource::make_vmm.
  Task<vmm::Vmm*> vmm();
  // Probed once for each kernel; callers that come meanwhile wait for the same answer.
  Task<vmm::Acceleration> acceleration(templates::Kernel kernel);

  // What is known without asking; null and absent before the first answer.
  const vmm::Vmm* known_vmm() const noexcept { return vmm_.get(); }
  std::optional<vmm::Acceleration> known_acceleration() const noexcept { return acceleration_; }

 private:
  Task<> lock();
  void unlock();

  async::ThreadPool& sys_;
  EngineSource source_;
  async::Event changed_;
  bool busy_ = false;
  std::unique_ptr<vmm::Vmm> vmm_;
  std::optional<vmm::Acceleration> acceleration_;
  std::string probed_kernel_;
};

}  // namespace wrenn::agent::sandbox
