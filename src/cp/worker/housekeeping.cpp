#include "cp/worker/housekeeping.h"

#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/store/audit.h"
#include "cp/store/idempotency.h"
#include "cp/store/remains.h"
#include "cp/store/sessions.h"
#include "cp/worker/attempt.h"

namespace wrenn::cp::worker {

// Of one round; the next has the rest.
static constexpr std::int64_t kBatch = 100;

Housekeeping::Housekeeping(async::Executor executor, Services& services)
    : services_(services),
      lease_(executor, services.database, "housekeeping"),
      // Who ends a team or disables a user announces that he revokes something.
      told_(services.database.on_notification(executor, std::string(service::kRevocations),
                                              [this](std::optional<std::string_view>) { wake(); })),
      woken_(executor) {}

void Housekeeping::wake() noexcept {
  wanted_ = true;
  woken_.notify_all();
}

Task<> Housekeeping::run() {
  auto work = [this] { return lead(); };
  co_await lease_.run(work);
}

Task<> Housekeeping::lead() {
  for (;;) {
    wanted_ = false;
    auto work = round();
    co_await attempt("housekeeping did not get through; the next round tries again", std::move(work));
    const auto until = SteadyClock::now() + limits::kHousekeepingPeriod;
    while (!wanted_ && SteadyClock::now() < until) (void)co_await woken_.wait_for(until - SteadyClock::now());
    // What is ended together becomes one round.
    co_await async::sleep(limits::kHousekeepingPause);
  }
}

Task<> Housekeeping::round() {
  co_await end_capsules();
  co_await end_templates();
  co_await pause_capsules();
  co_await erase_accounts();
  co_await throw_away();
}

static service::Caller system_in(const model::TeamId& team) {
  service::Caller caller;
  caller.team = team;
  return caller;
}

// Here and below: one that does not go must not keep the others.
Task<> Housekeeping::end_capsules() {
  auto find = [](db::Connection& connection) { return store::capsules_of_deleted_teams(connection, kBatch); };
  const auto left = co_await services_.database.read(find);
  for (const auto& one : left) {
    auto work = services_.capsules.destroy(system_in(one.team), one.sandbox);
    co_await attempt("a capsule of a deleted team is not destroyed yet", std::move(work), one.sandbox.text());
  }
}

Task<> Housekeeping::end_templates() {
  auto find = [](db::Connection& connection) {
    return store::templates_of_deleted_teams(connection, kBatch);
  };
  const auto left = co_await services_.database.read(find);
  for (const auto& one : left) {
    auto work = services_.snapshots.remove(system_in(one.team), one.name);
    co_await attempt("a template of a deleted team is not deleted yet", std::move(work), one.name);
  }
}

static Task<> pause(service::CapsuleService& capsules, store::Remnant one) {
  co_await capsules.pause(system_in(one.team), one.sandbox);
}

Task<> Housekeeping::pause_capsules() {
  auto find = [](db::Connection& connection) {
    return store::running_capsules_of_disabled_users(connection, kBatch);
  };
  const auto left = co_await services_.database.read(find);
  for (const auto& one : left) {
    auto work = pause(services_.capsules, one);
    co_await attempt("a capsule of a disabled user is not paused yet", std::move(work), one.sandbox.text());
  }
}

Task<> Housekeeping::erase_accounts() {
  const auto since = service::before(now(), limits::kPurgeAfter);
  auto find = [since](db::Connection& connection) {
    return store::users_deleted_before(connection, since, kBatch);
  };
  const auto left = co_await services_.database.read(find);
  for (const auto& user : left) {
    auto write = [&user](db::Connection& connection) {
      store::forget_in_audit(connection, user.id);
      store::erase_user(connection, user.id);
    };
    co_await lease_.write(write);
    log::info("a deleted account is erased", {{"user", user.id.text()}});
    services_.post.send(service::account_purged_letter({user.email, user.name}));
  }
}

Task<> Housekeeping::throw_away() {
  const auto at = now();
  const auto unused = service::before(at, limits::kSessionIdle + limits::kCredentialUsedPeriod);
  const auto answered = service::before(at, limits::kIdempotencyKept);
  auto write = [at, unused, answered](db::Connection& connection) {
    store::prune_sessions(connection, unused, at);
    store::prune_one_time_tokens(connection, at);
    store::prune_idempotency(connection, answered);
  };
  co_await lease_.write(write);
}

}  // namespace wrenn::cp::worker
