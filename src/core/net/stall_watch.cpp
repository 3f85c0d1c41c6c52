#include "core/net/stall_watch.h"

namespace wrenn::net {

asio::execution_context::id StallWatch::id;

StallWatch& StallWatch::of(const async::Executor& executor) {
  return asio::use_service<StallWatch>(asio::query(executor, asio::execution::context));
}

void StallWatch::add(Entry& entry, const async::Executor& executor) {
  entry.previous_ = nullptr;
  entry.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &entry;
  first_ = &entry;
  if (!timer_) {
    timer_.emplace(executor);
    arm();
  }
}

void StallWatch::remove(Entry& entry) noexcept {
  if (entry.previous_ != nullptr) entry.previous_->next_ = entry.next_;
  if (entry.next_ != nullptr) entry.next_->previous_ = entry.previous_;
  if (first_ == &entry) first_ = entry.next_;
  if (first_ == nullptr) timer_.reset();
}

void StallWatch::shutdown() {
  timer_.reset();
}

void StallWatch::arm() {
  timer_->expires_after(kPeriod);
  timer_->async_wait([this](const asio::error_code& error) {
    // The last entry may have gone, and the timer with it, after this expiry was queued.
    if (error || !timer_) return;
    ++now_;
    // Entries only cancel or close sockets here; whatever that ends is resumed in a later turn of the loop.
    for (Entry* entry = first_; entry != nullptr; entry = entry->next_) entry->on_tick(now_);
    arm();
  });
}

}  // namespace wrenn::net
