// An operation on a capsule that goes on when nobody waits for it any more. It runs in the service's scope;
// the request that began it waits for its end, for as long as it likes.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "core/async/event.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

class Operation {
 public:
  explicit Operation(async::Executor executor) : ended_(executor) {}

  void succeed(store::Sandbox sandbox) {
    result_ = std::move(sandbox);
    end();
  }
  void fail(std::exception_ptr error) {
    error_ = error;
    end();
  }
  bool awaited() const noexcept { return waiting_ > 0; }

  // The row at the end, or absent when `patience` is over first. Throws what the operation threw. The caller
  // holds a reference (shared_ptr) for the time of the call.
  async::Task<std::optional<store::Sandbox>> wait(std::chrono::steady_clock::duration patience);

 private:
  void end() {
    done_ = true;
    ended_.notify_all();
  }

  async::Event ended_;
  bool done_ = false;
  int waiting_ = 0;
  std::optional<store::Sandbox> result_;
  std::exception_ptr error_;
};

}  // namespace wrenn::cp::service
