#include "cp/service/settle.h"

#include <catch2/catch.hpp>

#include "cp/limits.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace wrenn::cp::service;
using enum model::SandboxState;

namespace {

constexpr UnixTime kNow{1'000'000'000'000};
constexpr std::int64_t kSecond = 1'000'000;

store::Sandbox row_in(model::SandboxState status, std::int64_t age_s = 60) {
  store::Sandbox row;
  row.id = model::SandboxId::random();
  row.status = status;
  row.last_updated = UnixTime{kNow.us - age_s * kSecond};
  row.status_deadline = UnixTime{kNow.us + 60 * kSecond};
  return row;
}

api::agent::SandboxInfo fact_in(model::SandboxState status, std::string reason = {}) {
  api::agent::SandboxInfo fact;
  fact.status = status;
  fact.reason = std::move(reason);
  fact.host_ip = status == running ? "10.11.0.2" : "";
  fact.metadata = {{"kernel_version", "6.1"}};
  return fact;
}

// "leave", "destroy", or the state it becomes.
std::string outcome(const store::Sandbox& row, const api::agent::SandboxInfo* fact) {
  const auto settled = settle(row, fact, kNow);
  if (settled.what == Settle::leave) return "leave";
  if (settled.what == Settle::destroy) return "destroy";
  return std::string(to_string(settled.change.to));
}
std::string outcome(model::SandboxState status, model::SandboxState fact) {
  const auto info = fact_in(fact);
  return outcome(row_in(status), &info);
}
std::string outcome_if_unknown(model::SandboxState status) {
  return outcome(row_in(status), nullptr);
}

}  // namespace

TEST_CASE("the host does not know the capsule") {
  CHECK(outcome_if_unknown(pending) == "error");
  CHECK(outcome_if_unknown(starting) == "error");
  CHECK(outcome_if_unknown(running) == "stopped");
  CHECK(outcome_if_unknown(pausing) == "stopped");
  CHECK(outcome_if_unknown(resuming) == "stopped");
  CHECK(outcome_if_unknown(stopping) == "stopped");
  CHECK(outcome_if_unknown(paused) == "missing");
  CHECK(outcome_if_unknown(missing) == "stopped");
  // A paused capsule whose files are away may come back with them.
  auto away = row_in(missing);
  away.status_reason = kHostStateSync;
  CHECK(outcome(away, nullptr) == "leave");
  const auto back = fact_in(paused);
  CHECK(outcome(away, &back) == "paused");
}

TEST_CASE("the host says what the capsule is") {
  CHECK(outcome(running, running) == "leave");
  CHECK(outcome(paused, paused) == "leave");
  for (const auto status : {pending, starting, pausing, resuming, missing, paused})
    CHECK(outcome(status, running) == "running");
  for (const auto status : {running, pausing, resuming, missing, starting})
    CHECK(outcome(status, paused) == "paused");
  for (const auto status : {running, paused, pausing, starting}) CHECK(outcome(status, error) == "error");
  for (const auto fact : {running, paused, error, starting, pausing})
    CHECK(outcome(stopping, fact) == "destroy");
  for (const auto fact : {stopped, missing}) CHECK(outcome(running, fact) == "stopped");
}

TEST_CASE("a young row has its grace, unless nobody can be at work on it") {
  const auto paused_there = fact_in(paused);
  const auto row = row_in(pausing, 2);
  CHECK(settle(row, &paused_there, kNow).what == Settle::leave);
  CHECK(settle(row, &paused_there, kNow, row.last_updated).what == Settle::leave);
  CHECK(settle(row, &paused_there, kNow, UnixTime{row.last_updated.us + 1}).change.to == paused);
  CHECK(settle(row, nullptr, kNow, UnixTime{row.last_updated.us + 1}).change.to == stopped);
  // Who is at work is at work, however old the row.
  const auto at_work = fact_in(pausing);
  CHECK(settle(row, &at_work, kNow, kNow).what == Settle::leave);

  CHECK(look_again_at(row, kNow) == UnixTime{kNow.us + 3 * kSecond});
  CHECK(look_again_at(row_in(pausing, 600), kNow) == UnixTime{kNow.us + kSecond});
  CHECK_FALSE(look_again_at(row_in(running, 2), kNow).has_value());
}

TEST_CASE("an old row that somebody attends to is his, until he no longer does") {
  auto row = row_in(pausing, 600);
  row.attended_at = UnixTime{kNow.us - 4 * kSecond};
  CHECK(outcome(row, nullptr) == "leave");
  CHECK(look_again_at(row, kNow) == UnixTime{kNow.us + kSecond});
  // Also when this process and the host's agent are younger than the row, but not than that word.
  CHECK(settle(row, nullptr, kNow, row.attended_at).what == Settle::leave);
  CHECK(settle(row, nullptr, kNow, UnixTime{row.attended_at.us + 1}).change.to == stopped);
  row.attended_at = UnixTime{kNow.us - 5 * kSecond};
  CHECK(outcome(row, nullptr) == "stopped");
  // What is at rest has nobody at work on it.
  auto at_rest = row_in(running);
  at_rest.attended_at = kNow;
  CHECK(outcome(at_rest, nullptr) == "stopped");
}

TEST_CASE("why a running capsule stands still is known for as long as it does") {
  const std::string full = std::string(api::agent::kHostDiskFull) + ": …";
  const auto still = fact_in(running, full);
  auto settled = settle(row_in(running), &still, kNow);
  CHECK(settled.what == Settle::change);
  CHECK(settled.change.to == running);
  CHECK(settled.change.reason == full);

  auto row = row_in(running);
  row.status_reason = full;
  CHECK(outcome(row, &still) == "leave");
  const auto runs = fact_in(running);
  settled = settle(row, &runs, kNow);
  CHECK(settled.what == Settle::change);
  CHECK(settled.change.reason.empty());
  row.status_reason = kRestored;
  CHECK(outcome(row, &runs) == "leave");
}

TEST_CASE("whoever is at work is left alone") {
  for (const auto fact : {starting, pausing, resuming, stopping})
    for (const auto status : {running, paused, pausing, resuming, missing})
      CHECK(outcome(status, fact) == "leave");
  // A row that became transient a moment ago is somebody's, even if the host says something else still.
  const auto fact = fact_in(running);
  for (const auto status : {pending, starting, pausing, resuming, stopping}) {
    CHECK(outcome(row_in(status, 1), &fact) == "leave");
    CHECK(outcome(row_in(status, 1), nullptr) == "leave");
  }
  CHECK(outcome(row_in(running, 1), nullptr) == "stopped");
}

TEST_CASE("a start that never ends is given up, a pause or resume is not") {
  auto late = row_in(starting);
  late.status_deadline = UnixTime{kNow.us - 1};
  const auto still = fact_in(starting);
  CHECK(outcome(late, &still) == "error");
  CHECK(settle(late, &still, kNow).change.reason == kTimedOut);
  CHECK(outcome(row_in(starting), &still) == "leave");
  for (const auto status : {pausing, resuming}) {
    auto slow = row_in(status);
    slow.status_deadline = UnixTime{kNow.us - 1};
    const auto at_work = fact_in(status);
    CHECK(outcome(slow, &at_work) == "leave");
  }
}

TEST_CASE("why, and what else changes") {
  const auto fact = fact_in(running);
  auto settled = settle(row_in(starting), &fact, kNow);
  CHECK(settled.change.reason == kTimeoutInferred);
  CHECK(settled.change.host_ip == "10.11.0.2");
  CHECK(settled.change.metadata == R"({"kernel_version":"6.1"})");
  CHECK(settled.change.started_at == kNow);
  CHECK_FALSE(settled.change.deadline.has_value());

  settled = settle(row_in(missing), &fact, kNow);
  CHECK(settled.change.reason == kRestored);

  const auto expired = fact_in(paused, "ttl_expired");
  settled = settle(row_in(running), &expired, kNow);
  CHECK(settled.change.reason == "ttl_expired");
  CHECK(settled.change.host_ip == "");

  const auto dead = fact_in(error, "QEMU ended with signal 9");
  CHECK(settle(row_in(running), &dead, kNow).change.reason == "QEMU ended with signal 9");
}

TEST_CASE("what nobody wants is destroyed, what somebody may want is not") {
  const auto runs = fact_in(running), sleeps = fact_in(paused);
  CHECK_FALSE(is_orphan_to_destroy(std::nullopt, runs, kNow, false));
  CHECK(is_orphan_to_destroy(std::nullopt, runs, kNow, true));
  CHECK_FALSE(is_orphan_to_destroy(std::nullopt, sleeps, kNow, true));
  CHECK(is_orphan_to_destroy(row_in(stopped), sleeps, kNow, false));
  CHECK(is_orphan_to_destroy(row_in(error), runs, kNow, false));  // it never ran: a failed create
  auto once_ran = row_in(error);
  once_ran.started_at = UnixTime{1};
  CHECK_FALSE(is_orphan_to_destroy(once_ran, runs, kNow, true));
  once_ran.last_updated = UnixTime{kNow.us - 2 * 3600 * kSecond};
  CHECK(is_orphan_to_destroy(once_ran, runs, kNow, true));
  for (const auto status : {pending, starting, running, pausing, paused, resuming, stopping, missing})
    CHECK_FALSE(is_orphan_to_destroy(row_in(status), runs, kNow, true));
}

TEST_CASE("settling is idempotent: what it made is right in the next round") {
  for (const auto status : {pending, starting, running, pausing, paused, resuming, missing})
    for (const auto fact_status : {running, paused}) {
      const auto fact = fact_in(fact_status);
      auto row = row_in(status);
      const auto settled = settle(row, &fact, kNow);
      if (settled.what == Settle::change) row.status = settled.change.to;
      CHECK(outcome(row, &fact) == "leave");
    }
}
