#include "agent/sandbox/engine.h"

#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

Task<> Engine::lock() {
  while (busy_) co_await changed_.wait();
  busy_ = true;
}

void Engine::unlock() {
  busy_ = false;
  changed_.notify_all();
}

Task<vmm::Vmm*> Engine::vmm() {
  if (!vmm_) {
    co_await lock();
    const ScopeGuard guard([this] { unlock(); });
    if (!vmm_) vmm_ = co_await async::offload(sys_, source_.make_vmm);
  }
  co_return vmm_.get();
}

Task<vmm::Acceleration> Engine::acceleration(templates::Kernel kernel) {
  const vmm::Vmm* vmm = co_await this->vmm();
  if (!acceleration_ || probed_kernel_ != kernel.path) {
    co_await lock();
    const ScopeGuard guard([this] { unlock(); });
    if (!acceleration_ || probed_kernel_ != kernel.path) {
      const auto find = source_.find_acceleration;
      auto work = [find, vmm, kernel] { return find(*vmm, kernel); };
      acceleration_ = co_await async::offload(sys_, work);
      probed_kernel_ = kernel.path;
    }
  }
  co_return *acceleration_;
}

}  // namespace wrenn::agent::sandbox
