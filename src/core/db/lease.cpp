#include "core/db/lease.h"

#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/db/holder.h"
#include "core/log/log.h"

namespace wrenn::db {

static constexpr std::string_view kReleased = "lease";

static std::int64_t end_of(UnixTime now, std::chrono::milliseconds time) {
  return now.us + std::chrono::microseconds(time).count();
}

// Its holder was killed: nobody has to wait for the end of the lease.
static void drop_if_gone(Connection& connection, std::string_view name) {
  std::string holder;
  connection.query("SELECT holder FROM leases WHERE name = $1", {name},
                   [&](const Row& row) { holder = row.text(0); });
  if (!holder.empty() && is_gone(holder))
    connection.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", {name, holder});
}

bool take_lease(Connection& connection, std::string_view name, std::string_view holder, UnixTime now,
                std::chrono::milliseconds time) {
  drop_if_gone(connection, name);
  return connection.execute(
             "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE "
             "SET holder = excluded.holder, expires_at = excluded.expires_at WHERE leases.holder = $2 OR "
             "leases.expires_at <= $4",
             {name, holder, end_of(now, time), now.us}) > 0;
}

bool renew_lease(Connection& connection, std::string_view name, std::string_view holder, UnixTime now,
                 std::chrono::milliseconds time) {
  return connection.execute("UPDATE leases SET expires_at = $3 WHERE name = $1 AND holder = $2",
                            {name, holder, end_of(now, time)}) > 0;
}

void release_lease(Connection& connection, std::string_view name, std::string_view holder) {
  if (connection.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", {name, holder}) > 0)
    connection.notify(kReleased, name);
}

// A change of nothing: it holds the row until the end of the write, on either engine.
void guard_lease(Connection& connection, std::string_view name, std::string_view holder) {
  if (connection.execute("UPDATE leases SET holder = $2 WHERE name = $1 AND holder = $2", {name, holder}) ==
      0)
    throw_error(ErrorCode::aborted, "the lease of {} is another process's now", name);
}

Lease::Lease(async::Executor executor, Database& database, std::string name, std::chrono::milliseconds time)
    : executor_(executor),
      database_(database),
      name_(std::move(name)),
      holder_(this_holder()),
      time_(time),
      released_(executor) {}

Task<bool> Lease::take() {
  const auto at = now();
  auto work = [this, at](Connection& c) { return take_lease(c, name_, holder_, at, time_); };
  co_return co_await database_.lead(work);
}

// Throws Error(aborted) once the lease is lost, or may be.
Task<> Lease::keep() {
  auto good_until = SteadyClock::now() + time_;
  for (;;) {
    co_await async::sleep(time_ / 4);
    const auto asked = SteadyClock::now();
    const auto at = now();
    auto work = [this, at](Connection& c) { return renew_lease(c, name_, holder_, at, time_); };
    std::exception_ptr failure;
    try {
      if (!co_await database_.lead(work))
        throw_error(ErrorCode::aborted, "the lease of {} is another process's now", name_);
      good_until = asked + time_;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::aborted || error.code() == ErrorCode::canceled) throw;
      failure = std::current_exception();
    }
    if (failure && SteadyClock::now() >= good_until)
      throw_error(ErrorCode::aborted, "the lease of {} is over: {}", name_, describe(failure));
  }
}

Task<> Lease::give_back() {
  auto work = [this](Connection& c) { release_lease(c, name_, holder_); };
  std::exception_ptr failure;
  try {
    co_await database_.lead(work);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure)
    log::info("a lease was not given back; others get it when it is over",
              {{"lease", name_}, {"error", wrenn::describe(failure)}});
}

Task<> Lease::run(std::function<Task<>()> work) {
  const auto told = database_.on_notification(executor_, std::string(kReleased),
                                              [this](std::optional<std::string_view> name) {
                                                if (!name || *name == name_) released_.notify_all();
                                              });
  std::string why_before;  // it failed the last time
  for (;;) {
    std::exception_ptr failure;
    bool was_held = false;
    const auto began = SteadyClock::now();
    try {
      held_ = was_held = co_await take();
      if (held_) {
        log::debug("lease taken", {{"lease", name_}});
        auto working = work();
        auto keeping = keep();
        co_await async::first_of(std::move(working), std::move(keeping));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    held_ = false;
    const bool cancelled = failure && async::is_cancellation(failure);
    if (failure && !cancelled) {
      // A database that is away or full for hours fills no log with it.
      if (SteadyClock::now() - began > time_) why_before.clear();
      auto why = wrenn::describe(failure);
      log::write(why == why_before ? log::Level::debug : log::Level::warn,
                 "work that one process does is begun again", {{"lease", name_}, {"error", why}});
      why_before = std::move(why);
    }
    if (was_held) {
      co_await async::ignore_cancellation();
      co_await give_back();
      co_await async::heed_cancellation();
    }
    if (cancelled) std::rethrow_exception(failure);
    if (was_held) {
      co_await async::sleep(limits::kLeasePause);
    } else {
      (void)co_await released_.wait_for(limits::kLeaseRetry);
    }
  }
}

}  // namespace wrenn::db
