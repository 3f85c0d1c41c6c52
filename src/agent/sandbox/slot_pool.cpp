#include "agent/sandbox/slot_pool.h"

#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

Task<int> SlotPool::take() {
  if (in_use_ >= max_)
    throw_error(ErrorCode::resource_exhausted,
                "all {} sandbox slots of this host are in use; pause or destroy a sandbox", max_);
  ++in_use_;
  ScopeGuard undo([this] { --in_use_; });
  std::vector<int> foreign;  // kept taken while we search, then free again: their owner may go
  const ScopeGuard free_foreign([this, &foreign] {
    for (const int slot : foreign) allocator_.release(slot);
  });
  for (;;) {
    const auto slot = allocator_.allocate();
    if (!slot) throw_error(ErrorCode::resource_exhausted, "no free network slot is left on this host");
    ScopeGuard release([this, slot] { allocator_.release(*slot); });
    Mechanisms& mechanisms = mechanisms_;
    auto claim = [&mechanisms, slot] { return mechanisms.claim_slot(*slot); };
    const bool ours = co_await async::offload(sys_, claim);
    release.dismiss();
    if (ours) {
      undo.dismiss();
      co_return *slot;
    }
    foreign.push_back(*slot);
  }
}

bool SlotPool::reserve(int slot) noexcept {
  if (!allocator_.take(slot)) return false;
  ++in_use_;
  return true;
}

void SlotPool::give_back(int slot) {
  allocator_.release(slot);
  --in_use_;
}

}  // namespace wrenn::agent::sandbox
