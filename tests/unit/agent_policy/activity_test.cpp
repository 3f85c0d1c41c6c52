#include "agent/sandbox/activity.h"

#include <catch2/catch.hpp>

#include "agent/limits.h"

using namespace std::chrono_literals;
using wrenn::SteadyTime;
using wrenn::agent::sandbox::Activity;

static const SteadyTime kStart = SteadyTime(1000h);

TEST_CASE("an unused sandbox is due after its time-out", "[activity]") {
  Activity activity(kStart, 60s);
  CHECK_FALSE(activity.is_due(kStart + 59s));
  CHECK(activity.is_due(kStart + 60s));
  activity.touch(kStart + 30s);
  CHECK_FALSE(activity.is_due(kStart + 89s));
  CHECK(activity.is_due(kStart + 90s));
  activity.touch(kStart);  // out of order: never moves back
  CHECK(activity.due_at() == kStart + 90s);
}

TEST_CASE("time-out 0 means never", "[activity]") {
  Activity activity(kStart, 0s);
  CHECK_FALSE(activity.due_at().has_value());
  CHECK_FALSE(activity.is_due(kStart + 10000h));
  activity.set_timeout(1s, kStart + 5s);
  CHECK(activity.due_at() == kStart + 6s);
}

TEST_CASE("a request under way keeps a sandbox alive, and its end counts", "[activity]") {
  Activity activity(kStart, 2s);
  activity.begin(kStart + 1s);
  activity.begin(kStart + 1s);
  CHECK_FALSE(activity.is_due(kStart + 1h));
  activity.end(kStart + 1h);
  CHECK_FALSE(activity.is_due(kStart + 2h));
  activity.end(kStart + 3h);
  CHECK(activity.in_flight() == 0);
  CHECK_FALSE(activity.is_due(kStart + 3h + 1s));
  CHECK(activity.is_due(kStart + 3h + 2s));
}

TEST_CASE("a failed automatic pause is tried again ever later", "[activity]") {
  using namespace wrenn::agent::limits;
  Activity activity(kStart, 1s);
  SteadyTime now = kStart + 1s;
  REQUIRE(activity.is_due(now));
  activity.defer(now);
  CHECK(activity.due_at() == now + kTtlRetryFirst);
  now += kTtlRetryFirst;
  activity.defer(now);
  CHECK(activity.due_at() == now + 2 * kTtlRetryFirst);
  for (int i = 0; i < 20; ++i) activity.defer(now);
  CHECK(activity.due_at() == now + kTtlRetryMax);
  activity.reset_deferral();
  CHECK(activity.is_due(now));
}
