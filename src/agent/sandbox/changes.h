// Changes: tells those who follow from afar that a sandbox has become something that nobody asked for: its
// machine ended, its time was over. A counter that moves; what has changed, the list of sandboxes says.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/async/event.h"
#include "core/base/clock.h"

namespace wrenn::agent::sandbox {

using async::Task;

// Belongs to the loop thread.
class Changes {
 public:
  explicit Changes(async::Executor executor);

  void note() {
    ++revision_;
    moved_.notify_all();
  }
  // Returns once the revision is another than `revision` of `epoch`, at the latest after `patience`, and at
  // once after close().
  Task<> wait(std::string epoch, std::int64_t revision, SteadyClock::duration patience);
  void close();

  // Differs between any two runs of the agent: revisions of one mean nothing in another.
  const std::string& epoch() const noexcept { return epoch_; }
  std::int64_t revision() const noexcept { return revision_; }
  // Since when this run of the agent has been there.
  std::chrono::milliseconds age() const noexcept;

 private:
  const std::string epoch_;
  const SteadyTime begun_ = SteadyClock::now();
  std::int64_t revision_ = 0;
  bool closed_ = false;
  async::Event moved_;
};

}  // namespace wrenn::agent::sandbox
