// Watcher: a WatchTree on the loop. It waits on the loop thread and looks on a pool thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/async/descriptor.h"
#include "core/async/offload.h"
#include "core/base/clock.h"
#include "envd/files/watch_tree.h"

namespace wrenn::envd::files {

class Watcher {
 public:
  // `threads` must outlive this. Throws as WatchTree().
  static async::Task<std::unique_ptr<Watcher>> open(async::ThreadPool& threads, WatchOptions options,
                                                    std::shared_ptr<WatchBudget> budget);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // The next events; absent at `until`, and once interrupted. Between two calls the kernel keeps them, as
  // many as it does. Throws Error(canceled).
  async::Task<std::optional<WatchBatch>> next(SteadyTime until);
  // Begins anew after a batch with a failure: with the directories that there are now. Throws as open().
  async::Task<> reopen();
  // Whether the kernel has something that next() has not returned yet.
  bool has_news() const noexcept;
  // In bytes of the kernel's queue since the beginning: what next() has returned, and a place at or behind
  // the end of what has happened so far.
  std::uint64_t returned() const noexcept { return returned_; }
  std::uint64_t end_of_news() const noexcept;
  // Ends the call of next() that waits, and all later ones.
  void interrupt() noexcept;

 private:
  Watcher(async::Executor executor, async::ThreadPool& threads, WatchOptions options,
          std::shared_ptr<WatchBudget> budget, std::unique_ptr<WatchTree> tree);
  async::Task<bool> wait(SteadyTime until);
  void close() noexcept;

  async::Executor executor_;
  async::ThreadPool& threads_;
  const WatchOptions options_;
  const std::shared_ptr<WatchBudget> budget_;
  std::unique_ptr<WatchTree> tree_;
  std::optional<async::Descriptor> readable_;  // a second descriptor of the tree's
  bool reading_ = false;
  std::uint64_t returned_ = 0;
  bool interrupted_ = false;
};

}  // namespace wrenn::envd::files
