#include "agent/sandbox/memory_bases.h"

#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

Task<std::shared_ptr<const snapshot::MemoryBase>> MemoryBases::get(std::string path, int memory_mib) {
  const Key key(path, memory_mib);
  for (;;) {
    if (const auto at = loaded_.find(key); at != loaded_.end()) {
      if (auto base = at->second.lock()) co_return base;
      loaded_.erase(at);
    }
    if (!loading_.contains(key)) break;
    co_await changed_.wait();
  }
  loading_[key] = true;
  const ScopeGuard end([this, &key] {
    loading_.erase(key);
    changed_.notify_all();
  });
  auto load = [&mechanisms = mechanisms_, path, memory_mib] {
    return mechanisms.load_base(path, memory_mib);
  };
  auto base = co_await async::offload(sys_, std::move(load));
  loaded_[key] = base;
  co_return base;
}

}  // namespace wrenn::agent::sandbox
