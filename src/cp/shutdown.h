// Tells the streams, which would last as long as their users like, that the control plane is about to end.
#pragma once

#include "core/async/event.h"

namespace wrenn::cp {

class Shutdown {
 public:
  explicit Shutdown(async::Executor executor) : event_(std::move(executor)) {}

  void begin() {
    begun_ = true;
    event_.notify_all();
  }
  bool begun() const noexcept { return begun_; }
  // Returns once it has begun. Throws Error(canceled).
  async::Task<> wait() {
    while (!begun_) co_await event_.wait();
  }

 private:
  async::Event event_;
  bool begun_ = false;
};

}  // namespace wrenn::cp
