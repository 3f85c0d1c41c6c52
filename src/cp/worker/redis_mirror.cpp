#include "cp/worker/redis_mirror.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/events/limits.h"
#include "core/log/log.h"
#include "cp/limits.h"

namespace wrenn::cp::worker {

static constexpr std::string_view kGroup = "wrenn-redis-mirror-v1";

RedisMirror::RedisMirror(async::Executor executor, db::Database& database, const Secret& url)
    : executor_(executor), database_(database), lease_(executor, database, "redis mirror"), woken_(executor) {
  if (url.empty()) return;
  redis_.emplace(outbound::RedisUrl::parse(url.reveal()));
  thread_.emplace("redis", 1);
}

Task<> RedisMirror::run() {
  if (!redis_) {
    co_await forget_group();
    co_return;
  }
  const auto told = database_.on_notification(executor_, std::string(events::kNumbered),
                                              [this](std::optional<std::string_view>) {
                                                asked_ = true;
                                                woken_.notify_all();
                                              });
  auto work = [this] { return lead(); };
  co_await lease_.run(work);
}

// A group that nobody moves would keep events for ever.
Task<> RedisMirror::forget_group() {
  auto erase = [](db::Connection& connection) { events::erase_group(connection, kGroup); };
  co_await database_.write(erase);
}

Task<> RedisMirror::lead() {
  auto pause = limits::kRedisRetryMin;
  bool failing = false;
  for (;;) {
    asked_ = false;
    const bool more = co_await copy();
    if (failure_) {
      if (!std::exchange(failing, true))
        log::warn("events are not copied to Redis; they wait, and it is tried again",
                  {{"error", wrenn::describe(failure_)}});
      co_await async::sleep(pause);
      pause = std::min(pause * 2, limits::kRedisRetryMax);
      continue;
    }
    if (std::exchange(failing, false)) log::info("events are copied to Redis again");
    pause = limits::kRedisRetryMin;
    if (!more && !asked_)
      (void)co_await woken_.wait_for(database_.listening() ? events::limits::kLookAgain
                                                           : events::limits::kPoll);
  }
}

Task<bool> RedisMirror::copy() {
  std::int64_t position = 0;
  auto read = [&position](db::Connection& connection) {
    position = events::group_position(connection, kGroup);
    return events::read_after(connection, position, limits::kRedisBatch);
  };
  const auto batch = co_await database_.read(read);
  failure_ = nullptr;
  auto work = [this, &batch, position] { return append(batch, position); };
  const auto reached = co_await async::offload(*thread_, work);
  // Also without events: from now on those that come wait for this group.
  auto move = [reached](db::Connection& connection) { events::move_group(connection, kGroup, reached); };
  if (reached > position || batch.empty()) co_await lease_.write(move);
  co_return batch.size() == limits::kRedisBatch;
}

// How far it got; failure_ says why not further.
std::int64_t RedisMirror::append(const std::vector<events::Event>& batch, std::int64_t position) {
  try {
    for (const auto& event : batch) {
      redis_->xadd_exact(events::kStream, {static_cast<std::uint64_t>(event.seq), 0}, event.payload,
                         limits::kRedisEntries);
      position = event.seq;
    }
  } catch (const Error&) {
    failure_ = std::current_exception();
  }
  return position;
}

}  // namespace wrenn::cp::worker
