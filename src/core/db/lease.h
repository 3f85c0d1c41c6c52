// A lease: of several processes that share a database, one does a named work at a time.
//
//   holder    take ── renew ── renew ── … ── release          each write: is it still mine? (fencing)
//   others      no      no       no             take
//
// A lease is a row that is changed by compare-and-set. One whose holder was killed on this machine is free at
// once. Its end is compared with the clock of the process that wants it, so a clock that is ahead takes it
// too early; that is harmless, because the writes of a former holder fail from then on. What a work does
// outside of the database must bear being done twice.
#pragma once

#include <functional>
#include <string>

#include "core/async/event.h"
#include "core/base/clock.h"
#include "core/db/database.h"
#include "core/db/limits.h"

namespace wrenn::db {

// The rules; table `leases`. All throw as Connection::query().

// True if `holder` has it now, until `now` + `time`: it was free, or over, or the holder's own.
bool take_lease(Connection& connection, std::string_view name, std::string_view holder, UnixTime now,
                std::chrono::milliseconds time);
// False if it is another's.
bool renew_lease(Connection& connection, std::string_view name, std::string_view holder, UnixTime now,
                 std::chrono::milliseconds time);
// Others are told that it is free.
void release_lease(Connection& connection, std::string_view name, std::string_view holder);
// Throws Error(aborted) if it is another's; until the end of this write it stays the holder's.
void guard_lease(Connection& connection, std::string_view name, std::string_view holder);

class Lease {
 public:
  // `database` must outlive this.
  Lease(async::Executor executor, Database& database, std::string name,
        std::chrono::milliseconds time = limits::kLeaseTime);

  // Begins `work` whenever this process gets the lease and cancels it when it is lost; when it ends or fails,
  // it is begun again after a pause, here or elsewhere. Gives the lease back when cancelled, which is how
  // this ends.
  Task<> run(std::function<Task<>()> work);

  bool held() const noexcept { return held_; }
  const std::string& holder() const noexcept { return holder_; }

  // A write of the work. Throws Error(aborted) when the lease is another's, as Connection::query() otherwise.
  template <typename F>
  auto write(F work) -> Task<std::invoke_result_t<F&, Connection&>> {
    using Result = std::invoke_result_t<F&, Connection&>;
    auto guarded = [this, &work](Connection& connection) -> Result {
      guard_lease(connection, name_, holder_);
      return work(connection);
    };
    if constexpr (std::is_void_v<Result>) {
      co_await database_.lead(guarded);
    } else {
      co_return co_await database_.lead(guarded);
    }
  }

 private:
  Task<bool> take();
  Task<> keep();
  Task<> give_back();

  async::Executor executor_;
  Database& database_;
  const std::string name_, holder_;
  const std::chrono::milliseconds time_;
  bool held_ = false;
  async::Event released_;
};

}  // namespace wrenn::db
