#include "agent/sandbox/boot_queue.h"

#include <algorithm>

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

BootTurn::~BootTurn() {
  if (queue_ == nullptr) return;
  ++queue_->free_;
  queue_->changed_.notify_all();
}

async::Task<> BootQueue::wait_for_turn(std::uint64_t ticket) {
  while (free_ == 0 || waiting_.front() != ticket) co_await changed_.wait();
}

async::Task<BootTurn> BootQueue::take(std::chrono::steady_clock::duration patience) {
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  // Served or cancelled: those behind move up.
  const ScopeGuard leave([this, ticket] {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), ticket));
    changed_.notify_all();
  });
  auto turn = wait_for_turn(ticket);
  bool in_time = true;
  try {
    co_await async::with_timeout(patience, "a place to boot", std::move(turn));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::deadline_exceeded) throw;
    in_time = false;
  }
  if (!in_time)
    throw_error(
        ErrorCode::resource_exhausted,
        "this host boots {} capsules at a time and {} more are waiting: try again later, or create fewer "
        "at once",
        places_, waiting_.size() - 1);
  --free_;
  co_return BootTurn(*this);
}

}  // namespace wrenn::agent::sandbox
