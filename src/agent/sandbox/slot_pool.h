// The network slots of this agent: lowest free first, skipping those that another agent on this machine has.
//
// Some are kept ready, complete with network, TAP and namespace open, because making one takes the kernel
// milliseconds of grace periods that no create should wait for; and no destroy waits for one to be taken
// down.
//
//   free ── claimed, made ──▶ ready ── take() ──▶ in use ── give_back() ──▶ retired ── taken down ──▶ free
//
// From the claim until the slot is down a claim (claims.h) names it, so whatever a crash leaves of it is
// swept at the next start. A slot that cannot be taken down keeps its claim, and is not used again by this
// agent.
#pragma once

#include <algorithm>
#include <deque>
#include <set>

#include "agent/mechanisms.h"
#include "agent/network/slot_allocator.h"
#include "agent/sandbox/figures.h"
#include "core/async/event.h"
#include "core/async/offload.h"
#include "core/async/scope.h"

namespace wrenn::agent::sandbox {

using async::Task;

struct Slot {
  int index = 0;
  NetworkAttachment attachment;
};

struct SlotPoolOptions {
  std::size_t max = 1000;  // sandboxes that may run at once here; those that are ready do not count
  std::size_t ready = 0;   // kept by fill()
};

// All of it on the loop thread; what blocks runs on `sys`. close() must have completed before destruction.
class SlotPool {
 public:
  SlotPool(async::Executor executor, async::ThreadPool& sys, Mechanisms& mechanisms, Figures& figures,
           SlotPoolOptions options);

  // A complete network: a ready one at once, else one made while the caller waits. Throws
  // Error(resource_exhausted) when all are in use, Error(unavailable) after close(), and what making one
  // throws; nothing is kept then.
  Task<Slot> take();
  // Known from the journal; before fill(). False when it is taken already.
  bool reserve(int index) noexcept;
  // Nothing uses it any more. Returns at once; failures to take it down are logged.
  void give_back(int index);

  // Keeps slots ready until it is cancelled; a failure makes it wait. Throws Error(canceled) only.
  Task<> fill();
  // Waits until what has been given back so far is down, or cannot be.
  Task<> settle();
  // Takes those down that are ready, and waits for what is under way; after limits::kSlotClose the rest is
  // left to the next start. Nobody may be in fill().
  Task<> close();

  std::size_t in_use() const noexcept { return used_.size() + making_; }
  std::size_t ready() const noexcept { return ready_.size(); }
  // How many more sandboxes may be in use.
  std::size_t room() const noexcept { return options_.max - std::min(options_.max, in_use()); }

 private:
  Task<Slot> make();
  Task<int> claim();
  Task<bool> add_ready();
  std::size_t missing() const noexcept;
  void retire(int index);
  Task<> take_down_retired();

  async::ThreadPool& sys_;
  Mechanisms& mechanisms_;
  Figures& figures_;
  const SlotPoolOptions options_;
  network::SlotAllocator allocator_;  // has all that are not free
  std::set<int> used_;
  std::size_t making_ = 0;  // by callers of take()
  std::deque<Slot> ready_;
  std::deque<int> retired_;
  bool taking_down_ = false;
  bool closed_ = false;
  SteadyTime last_take_{};
  SteadyTime close_by_ = SteadyTime::max();
  async::Event changed_;  // fewer ready, or more wanted
  async::Scope scope_;    // has take_down_retired()
};

}  // namespace wrenn::agent::sandbox
