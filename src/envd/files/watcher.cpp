#include "envd/files/watcher.h"

#include <fcntl.h>

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

using async::Task;

namespace {

async::Descriptor second_descriptor(async::Executor executor, sys::FdView fd) {
  const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw_errno("wait for file system events");
  return async::Descriptor(std::move(executor), copy);
}

}  // namespace

Task<std::unique_ptr<Watcher>> Watcher::open(async::ThreadPool& threads, WatchOptions options,
                                             std::shared_ptr<WatchBudget> budget) {
  const auto executor = co_await asio::this_coro::executor;
  auto work = [&options, &budget] { return std::make_unique<WatchTree>(options, budget); };
  auto tree = co_await async::offload(threads, std::move(work));
  co_return std::unique_ptr<Watcher>(
      new Watcher(executor, threads, std::move(options), std::move(budget), std::move(tree)));
}

Watcher::Watcher(async::Executor executor, async::ThreadPool& threads, WatchOptions options,
                 std::shared_ptr<WatchBudget> budget, std::unique_ptr<WatchTree> tree)
    : executor_(std::move(executor)),
      threads_(threads),
      options_(std::move(options)),
      budget_(std::move(budget)),
      tree_(std::move(tree)),
      readable_(second_descriptor(executor_, tree_->fd())) {}

Watcher::~Watcher() {
  close();
}

// The last close of an instance takes the kernel 10 ms and more [measured]: that is for a pool thread.
void Watcher::close() noexcept {
  readable_.reset();
  if (!tree_) return;
  asio::post(threads_.pool(), [tree = std::move(tree_)]() mutable { tree.reset(); });
}

Task<bool> Watcher::wait(SteadyTime until) {
  if (interrupted_) co_return false;
  auto readable = readable_->wait_readable();
  try {
    if (until == SteadyTime::max()) {
      co_await std::move(readable);
    } else {
      co_await async::with_timeout(until - SteadyClock::now(), "file system events", std::move(readable));
    }
  } catch (const Error& error) {
    const bool is_wanted =
        error.code() == ErrorCode::deadline_exceeded || (error.code() == ErrorCode::canceled && interrupted_);
    if (!is_wanted) throw;
    co_return false;
  }
  co_return !interrupted_;
}

Task<std::optional<WatchBatch>> Watcher::next(SteadyTime until) {
  const bool is_readable = co_await wait(until);
  if (!is_readable) co_return std::nullopt;
  reading_ = true;
  auto work = [tree = tree_.get()] { return tree->read(); };
  WatchBatch batch = co_await async::offload(threads_, std::move(work));
  reading_ = false;
  returned_ += batch.queue_bytes;
  co_return std::move(batch);
}

Task<> Watcher::reopen() {
  close();
  auto work = [this] { return std::make_unique<WatchTree>(options_, budget_); };
  tree_ = co_await async::offload(threads_, std::move(work));
  readable_.emplace(second_descriptor(executor_, tree_->fd()));
}

bool Watcher::has_news() const noexcept {
  return reading_ || !tree_ || tree_->queued() > 0;
}

// What the pool thread has taken by now is not known here, only how much it can be.
std::uint64_t Watcher::end_of_news() const noexcept {
  return returned_ + (reading_ ? limits::kWatchReadBytes : 0) + (tree_ ? tree_->queued() : 0);
}

void Watcher::interrupt() noexcept {
  interrupted_ = true;
  if (readable_) readable_->interrupt();
}

}  // namespace wrenn::envd::files
