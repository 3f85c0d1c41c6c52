// Event: lets coroutines of one loop wait for something that other code of the same loop announces.
#pragma once

#include "core/async/task.h"

namespace wrenn::async {

class Event {
 public:
  explicit Event(Executor executor);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Resumes every current waiter (and nobody who comes later). Safe to call from the loop thread only.
  void notify_all();

  // Waits for the next notify_all(). Check your condition in a loop around it. Throws Error(canceled).
  Task<> wait();

  // As wait(), but returns false when `duration` has passed first.
  Task<bool> wait_for(std::chrono::steady_clock::duration duration);

 private:
  asio::steady_timer timer_;
};

}  // namespace wrenn::async
