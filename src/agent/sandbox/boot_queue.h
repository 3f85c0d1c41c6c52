// Cold boots take turns: as many at once as there are CPUs. More would only take longer each, and under
// emulation all of them would miss the deadline of a boot together; a boot that waits has not begun its
// deadline.
#pragma once

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
  BootQueue(async::Executor executor, int places) : changed_(std::move(executor)), free_(places) {}

  // Waits for a place, first come, first served. Throws Error(canceled).
  async::Task<BootTurn> take();

 private:
  friend class BootTurn;
  async::Event changed_;
  int free_;
  std::uint64_t next_ticket_ = 0;
  std::deque<std::uint64_t> waiting_;
};

}  // namespace wrenn::agent::sandbox
