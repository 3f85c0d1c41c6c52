#include "agent/sandbox/means.h"

namespace wrenn::agent::sandbox {

snapshot::ResumeHost Means::resume_host() const {
  return {
      .vmm_version = vmm->version(), .acceleration = acceleration, .cpu_model = vmm->cpu_model(acceleration)};
}

Task<Means> find_means(Host& host, std::string kernel_version) {
  Means means;
  means.vmm = co_await host.engine.vmm();
  auto find_kernel = [&mechanisms = host.mechanisms, wanted = std::move(kernel_version)] {
    return mechanisms.find_kernel(wanted);
  };
  means.kernel = co_await async::offload(host.sys, std::move(find_kernel));
  means.acceleration = co_await host.engine.acceleration(means.kernel);
  co_return means;
}

}  // namespace wrenn::agent::sandbox
