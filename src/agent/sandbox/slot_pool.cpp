#include "agent/sandbox/slot_pool.h"

#include <algorithm>

#include "agent/limits.h"
#include "core/base/crash_point.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

SlotPool::SlotPool(async::Executor executor, async::ThreadPool& sys, Mechanisms& mechanisms, Figures& figures,
                   SlotPoolOptions options)
    : sys_(sys),
      mechanisms_(mechanisms),
      figures_(figures),
      options_(options),
      changed_(executor),
      scope_(executor, "network slots") {}

// --- in and out

Task<Slot> SlotPool::take() {
  if (closed_) throw_error(ErrorCode::unavailable, "the agent is ending");
  if (in_use() >= options_.max)
    throw_error(ErrorCode::resource_exhausted,
                "all {} sandbox slots of this host are in use; pause or destroy a sandbox", options_.max);
  last_take_ = SteadyClock::now();
  if (!ready_.empty()) {
    Slot slot = std::move(ready_.front());
    ready_.pop_front();
    used_.insert(slot.index);
    changed_.notify_all();
    figures_.slot_taken("ready");
    co_return slot;
  }
  ++making_;
  const ScopeGuard made([this] { --making_; });
  Slot slot = co_await make();
  used_.insert(slot.index);
  figures_.slot_taken("made");
  co_return slot;
}

bool SlotPool::reserve(int index) noexcept {
  if (!allocator_.take(index)) return false;
  used_.insert(index);
  return true;
}

void SlotPool::give_back(int index) {
  if (used_.erase(index) == 0) {
    // Two records of a damaged journal may name the same slot.
    log::error("a network slot is given back that nobody has", {{"slot", index}});
    return;
  }
  changed_.notify_all();
  retire(index);
}

// --- making

Task<int> SlotPool::claim() {
  std::vector<int> foreign;  // kept taken while we search, then free again: their owner may go
  const ScopeGuard free_foreign([this, &foreign] {
    for (const int index : foreign) allocator_.release(index);
  });
  for (;;) {
    const auto index = allocator_.allocate();
    if (!index) throw_error(ErrorCode::resource_exhausted, "no free network slot is left on this host");
    ScopeGuard release([this, index] { allocator_.release(*index); });
    auto work = [&mechanisms = mechanisms_, index] { return mechanisms.claim_slot(*index); };
    const bool ours = co_await async::offload(sys_, std::move(work));
    release.dismiss();
    if (ours) co_return *index;
    foreign.push_back(*index);
  }
}

Task<Slot> SlotPool::make() {
  const SteadyTime start = SteadyClock::now();
  Slot slot;
  crash_point("slot.make.begin");
  slot.index = co_await claim();
  crash_point("slot.make.claimed");
  ScopeGuard undo([this, index = slot.index] { retire(index); });
  auto work = [&mechanisms = mechanisms_, index = slot.index] {
    mechanisms.create_network(index);
    crash_point("slot.make.network_there");
    return mechanisms.attach_network(index);
  };
  slot.attachment = co_await async::offload(sys_, std::move(work));
  crash_point("slot.make.end");
  undo.dismiss();
  figures_.stage("slot_make", SteadyClock::now() - start);
  co_return slot;
}

// More than can be in use are of no use.
std::size_t SlotPool::missing() const noexcept {
  const std::size_t wanted = std::min(options_.ready, options_.max - std::min(options_.max, in_use()));
  return wanted - std::min(wanted, ready_.size());
}

Task<bool> SlotPool::add_ready() {
  try {
    Slot slot = co_await make();
    ready_.push_back(std::move(slot));
    co_return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warn("cannot make a network slot ahead of its use", {{"error", describe(error)}});
    co_return false;
  }
}

Task<> SlotPool::fill() {
  auto patience = limits::kSlotRetryFirst;
  for (;;) {
    if (missing() == 0) {
      co_await changed_.wait();
      continue;
    }
    // Whoever has just taken one is using the CPUs and the kernel's network lock. As long as enough are left
    // it is not disturbed.
    const auto pause = last_take_ + limits::kSlotRefillPause - SteadyClock::now();
    if (2 * missing() <= options_.ready && pause > pause.zero()) {
      co_await async::sleep(pause);
      continue;
    }
    if (co_await add_ready()) {
      patience = limits::kSlotRetryFirst;
      continue;
    }
    co_await async::sleep(patience);
    patience = std::min(2 * patience, limits::kSlotRetryMax);
  }
}

// --- taking down

void SlotPool::retire(int index) {
  retired_.push_back(index);
  if (std::exchange(taking_down_, true)) return;
  scope_.spawn(take_down_retired());
}

// One after the other: they would only wait for each other in the kernel, and creates for all of them.
Task<> SlotPool::take_down_retired() {
  const ScopeGuard end([this] { taking_down_ = false; });
  while (!retired_.empty()) {
    if (SteadyClock::now() > close_by_) {
      log::warn("network slots are left to the next start of the agent", {{"count", retired_.size()}});
      break;
    }
    const int index = retired_.front();
    retired_.pop_front();
    const SteadyTime start = SteadyClock::now();
    auto work = [&mechanisms = mechanisms_, index] {
      crash_point("slot.take_down.begin");
      mechanisms.destroy_network(index);
      crash_point("slot.take_down.end");
    };
    try {
      co_await async::offload(sys_, std::move(work));
      allocator_.release(index);
      figures_.stage("slot_teardown", SteadyClock::now() - start);
    } catch (const Error& error) {
      log::error("cannot take a network slot down; the next start of the agent tries again",
                 {{"slot", index}, {"error", describe(error)}});
    }
  }
}

Task<> SlotPool::settle() {
  co_await scope_.join();
}

Task<> SlotPool::close() {
  closed_ = true;
  close_by_ = SteadyClock::now() + limits::kSlotClose;
  for (const Slot& slot : std::exchange(ready_, {})) retire(slot.index);
  co_await scope_.join();
}

}  // namespace wrenn::agent::sandbox
