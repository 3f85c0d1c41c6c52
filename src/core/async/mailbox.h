// Mailbox: a bounded queue between coroutines of one loop. The owner of a state reads its mailbox; everybody
// else sends to it.
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "core/async/event.h"

namespace wrenn::async {

template <typename T>
class Mailbox {
 public:
  Mailbox(Executor executor, std::size_t capacity) : changed_(executor), capacity_(capacity) {}

  // False when full or closed.
  bool try_push(T value) {
    if (closed_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }

  // Waits for room (back-pressure); false when the mailbox is or becomes closed.
  Task<bool> push(T value) {
    while (!closed_ && queue_.size() >= capacity_) co_await changed_.wait();
    if (closed_) co_return false;
    queue_.push_back(std::move(value));
    changed_.notify_all();
    co_return true;
  }

  // Waits for the next value; absent once the mailbox is closed and empty.
  Task<std::optional<T>> pop() {
    while (queue_.empty() && !closed_) co_await changed_.wait();
    co_return take();
  }

  std::optional<T> try_pop() { return take(); }

  void close() {
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return queue_.size(); }

 private:
  std::optional<T> take() {
    if (queue_.empty()) return std::nullopt;
    std::optional<T> value(std::move(queue_.front()));
    queue_.pop_front();
    changed_.notify_all();
    return value;
  }

  Event changed_;
  std::size_t capacity_;
  std::deque<T> queue_;
  bool closed_ = false;
};

}  // namespace wrenn::async
