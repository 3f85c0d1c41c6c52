// Waits for news of a host, one call after another, so that the end of a machine is known at once and not at
// the reconciler's next round. The rounds stay what can be relied on: this only says when one is worth while.
#pragma once

#include <functional>

#include "cp/host_agents.h"

namespace wrenn::cp::worker {

using async::Task;

class HostWatch {
 public:
  // `host` must outlive this. `on_change`: something may have changed on it, or its agent is another one now.
  HostWatch(HostAgent& host, std::function<void()> on_change)
      : host_(host), on_change_(std::move(on_change)) {}

  // Ends by cancellation only. With an agent too old to be asked it says nothing.
  Task<> run();

 private:
  HostAgent& host_;
  std::function<void()> on_change_;
};

}  // namespace wrenn::cp::worker
