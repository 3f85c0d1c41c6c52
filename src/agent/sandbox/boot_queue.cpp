#include "agent/sandbox/boot_queue.h"

#include <algorithm>

#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

BootTurn::~BootTurn() {
  if (queue_ == nullptr) return;
  ++queue_->free_;
  queue_->changed_.notify_all();
}

async::Task<BootTurn> BootQueue::take() {
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  // Served or cancelled: those behind move up.
  const ScopeGuard leave([this, ticket] {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), ticket));
    changed_.notify_all();
  });
  while (free_ == 0 || waiting_.front() != ticket) co_await changed_.wait();
  --free_;
  co_return BootTurn(*this);
}

}  // namespace wrenn::agent::sandbox
