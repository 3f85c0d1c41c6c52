#include "core/async/event.h"

#include "core/base/error.h"

namespace wrenn::async {

// Each waiter has a timer of its own, in its own frame; cancelling the timer's wait is the announcement.
// `notified` tells an announcement from a cancellation of the waiter and from the timer's expiry.
struct Event::Waiter {
  Waiter(Event& owner, asio::steady_timer::time_point until)
      : event(&owner), next(owner.first_), timer(owner.executor_, until) {
    if (next != nullptr) next->previous = this;
    owner.first_ = this;
  }
  ~Waiter() { unlink(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void unlink() noexcept {
    if (event == nullptr) return;
    if (previous != nullptr) previous->next = next;
    if (next != nullptr) next->previous = previous;
    if (event->first_ == this) event->first_ = next;
    event = nullptr;
  }

  Event* event;  // null once notified, or when the event is gone
  Waiter* previous = nullptr;
  Waiter* next;
  asio::steady_timer timer;
  bool notified = false;
};

// Waiters that outlive the event exist only while a whole loop is torn down.
Event::~Event() {
  while (first_ != nullptr) first_->unlink();
}

void Event::notify_all() {
  while (first_ != nullptr) {
    Waiter& waiter = *first_;
    waiter.unlink();
    waiter.notified = true;
    waiter.timer.cancel();
  }
}

Task<> Event::wait() {
  Waiter waiter(*this, asio::steady_timer::time_point::max());
  asio::error_code error;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (!waiter.notified) throw Error(ErrorCode::canceled, "wait: cancelled");
}

Task<bool> Event::wait_for(std::chrono::steady_clock::duration duration) {
  Waiter waiter(*this, asio::steady_timer::clock_type::now() + duration);
  asio::error_code error;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (waiter.notified) co_return true;
  if (error) throw Error(ErrorCode::canceled, "wait: cancelled");
  co_return false;
}

Task<> Event::wait_uncancelled() {
  Waiter waiter(*this, asio::steady_timer::time_point::max());
  asio::error_code ignored;
  const asio::cancellation_slot unconnected;
  auto token = asio::bind_cancellation_slot(unconnected, asio::use_awaitable);
  while (!waiter.notified) co_await waiter.timer.async_wait(asio::redirect_error(token, ignored));
}

}  // namespace wrenn::async
