// StopFlag: one loop tells another, on its own thread, that it is time to end.
#pragma once

#include "core/async/task.h"

namespace wrenn::async {

class StopFlag {
 public:
  StopFlag();  // throws SystemError
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;

  // From any thread, any number of times.
  void set() noexcept;
  // Returns once the flag is set, at once if it already is. Throws Error(canceled).
  Task<> wait();

 private:
  int fd_;  // an eventfd: readable from set() on
};

}  // namespace wrenn::async
