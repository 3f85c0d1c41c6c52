// LoopThread: a second role's loop in the same process, on a thread of its own. The two loops share no state; they
// talk as two processes would.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <thread>

#include "core/async/task.h"

namespace wrenn::async {

class LoopThread {
 public:
  // Starts the thread; `role` stands in its log lines. `ended` is called on that thread when the task is over, failed
  // or not.
  LoopThread(std::string role, std::function<Task<>()> main_task, std::function<void()> ended);
  // Waits for the thread: whoever owns this has told the task to end.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  // Waits for the end and rethrows the exception of the task.
  void join();

 private:
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace wrenn::async
