// Event: lets coroutines of one loop wait for something that other code of the same loop announces.
#pragma once

#include <chrono>

#include "core/async/task.h"

namespace wrenn::async {

class Event {
 public:
  explicit Event(Executor executor) noexcept : executor_(std::move(executor)) {}
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Resumes every current waiter (and nobody who comes later). Safe to call from the loop thread only.
  void notify_all();

  // Waits for the next notify_all(). Check your condition in a loop around it: between the check and the wait
  // nothing else runs, so no announcement is lost. Throws Error(canceled).
  Task<> wait();

  // As wait(), but returns false when `duration` has passed first.
  Task<bool> wait_for(std::chrono::steady_clock::duration duration);

  // As wait(), but goes on waiting when the calling coroutine is cancelled. For cleanup that must see the end
  // of something; only Scope and the races need it. The caller must have awaited ignore_cancellation()
  // before.
  Task<> wait_uncancelled();

 private:
  struct Waiter;
  Executor executor_;
  Waiter* first_ = nullptr;
};

}  // namespace wrenn::async
