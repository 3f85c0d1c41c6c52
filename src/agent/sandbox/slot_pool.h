// The network slots of this agent: lowest free first, skipping those that another agent on this machine has.
#pragma once

#include "agent/mechanisms.h"
#include "agent/network/slot_allocator.h"
#include "core/async/offload.h"

namespace wrenn::agent::sandbox {

using async::Task;

class SlotPool {
 public:
  // `max`: how many sandboxes may run at once here.
  SlotPool(async::ThreadPool& sys, Mechanisms& mechanisms, std::size_t max)
      : sys_(sys), mechanisms_(mechanisms), max_(max) {}

  // Throws Error(resource_exhausted) when all are taken. Nothing of the slot exists yet.
  Task<int> take();
  // Known from the journal. False when it is taken already.
  bool reserve(int slot) noexcept;
  // After everything of the slot is gone.
  void give_back(int slot);
  std::size_t in_use() const noexcept { return in_use_; }

 private:
  async::ThreadPool& sys_;
  Mechanisms& mechanisms_;
  network::SlotAllocator allocator_;
  std::size_t max_;
  std::size_t in_use_ = 0;
};

}  // namespace wrenn::agent::sandbox
