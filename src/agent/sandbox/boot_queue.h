// Cold boots take turns: as many at once as there are CPUs. More would only take longer each, and under
// emulation all of them would miss the deadline of a boot together; a boot that waits has not begun its
// deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

#include "core/async/event.h"

namespace wrenn::agent::sandbox {

class BootQueue;

// A place among those that boot; destruction gives it to the next.
class BootTurn {
 public:
  explicit BootTurn(BootQueue& queue) noexcept : queue_(&queue) {}
  ~BootTurn();
  BootTurn(BootTurn&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
  BootTurn& operator=(BootTurn&&) = delete;

 private:
  BootQueue* queue_;
};

class BootQueue {
 public:
  BootQueue(async::Executor executor, int places)
      : changed_(std::move(executor)), places_(places), free_(places) {}

  // Waits for a place, first come, first served, for at most `patience`. Throws Error(resource_exhausted)
  // when that is over, Error(canceled).
  async::Task<BootTurn> take(std::chrono::steady_clock::duration patience);

 private:
  friend class BootTurn;
  async::Task<> wait_for_turn(std::uint64_t ticket);

  async::Event changed_;
  int places_;
  int free_;
  std::uint64_t next_ticket_ = 0;
  std::deque<std::uint64_t> waiting_;
};

}  // namespace wrenn::agent::sandbox
