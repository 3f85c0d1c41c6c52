#include "agent/sandbox/changes.h"

#include "core/base/random.h"

namespace wrenn::agent::sandbox {

static constexpr std::size_t kEpochBytes = 8;

Changes::Changes(async::Executor executor) : epoch_(random_hex(kEpochBytes)), moved_(std::move(executor)) {}

Task<> Changes::wait(std::string epoch, std::int64_t revision, SteadyClock::duration patience) {
  const SteadyTime until = SteadyClock::now() + patience;
  while (!closed_ && epoch == epoch_ && revision == revision_ && SteadyClock::now() < until)
    (void)co_await moved_.wait_for(until - SteadyClock::now());
}

void Changes::close() {
  closed_ = true;
  moved_.notify_all();
}

std::chrono::milliseconds Changes::age() const noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begun_);
}

}  // namespace wrenn::agent::sandbox
