// Copies the stream of events into a Redis stream of the same name, for consumers of one's own. An option:
// wrenn itself reads the database only. One control plane of several does it.
//
// An entry has the event's number as its id, so one whose answer was lost is recognised when it is repeated:
// each event stands there once. While Redis is away events wait in the database, for as long as events are
// kept.
#pragma once

#include "core/async/offload.h"
#include "core/base/secret.h"
#include "core/db/lease.h"
#include "core/events/stream.h"
#include "core/outbound/redis_stream.h"

namespace wrenn::cp::worker {

using async::Task;

class RedisMirror {
 public:
  // `database` must outlive this. An empty `url`: there is no mirror. Throws Error(invalid_argument) for one
  // that cannot be one.
  RedisMirror(async::Executor executor, db::Database& database, const Secret& url);

  // Ends by cancellation; without a mirror at once, and events are kept for it no longer.
  Task<> run();

 private:
  Task<> lead();
  // True if there may be more.
  Task<bool> copy();
  std::int64_t append(const std::vector<events::Event>& batch, std::int64_t position);
  Task<> forget_group();

  async::Executor executor_;
  db::Database& database_;
  db::Lease lease_;
  std::optional<outbound::RedisStream> redis_;
  async::Event woken_;
  bool asked_ = false;
  std::exception_ptr failure_;  // of the last append
  std::optional<async::ThreadPool> thread_;  // the last member: its thread uses the others
};

}  // namespace wrenn::cp::worker
