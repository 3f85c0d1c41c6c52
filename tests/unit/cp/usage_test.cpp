// What teams used: days, clocks that leap, ends that nobody saw, samples and what is kept of them.
#include "cp/service/usage.h"

#include <catch2/catch.hpp>

#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/service/transitions.h"
#include "cp/store/hosts.h"
#include "cp/store/sandbox_metrics.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;
using db::Connection;
using store::Usage;
using store::UsageByDay;
using enum model::SandboxState;

namespace {

constexpr std::int64_t kSecond = 1'000'000, kHour = 3600 * kSecond, kDay = 24 * kHour;

UnixTime at(std::int64_t day, std::int64_t us) {
  return {day * kDay + us};
}

}  // namespace

TEST_CASE("days") {
  struct Row {
    std::string_view text;
    std::optional<std::int64_t> day;
  };
  const Row rows[] = {
      {"1970-01-01", 0},
      {"1970-01-02", 1},
      {"2024-02-29", 19'782},
      {"2026-05-19", 20'592},
      {"1969-12-31", -1},
      {"2023-02-29", std::nullopt},
      {"2026-13-01", std::nullopt},
      {"2026-5-19", std::nullopt},
      {"2026-05-190", std::nullopt},
      {"", std::nullopt},
      {"yesterday!", std::nullopt},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(service::parse_day(row.text) == row.day);
    if (row.day) CHECK(service::day_text(*row.day) == row.text);
  }
  CHECK(service::day_of(at(7, kDay - 1)) == 7);
  CHECK(service::day_of(at(7, 0)) == 7);
  CHECK(service::day_of(UnixTime{-1}) == -1);
}

TEST_CASE("a run is split at midnight") {
  struct Row {
    std::string_view what;
    UnixTime from, until;
    std::map<std::int64_t, std::int64_t> days;
  };
  const Row rows[] = {
      {"within a day", at(3, kHour), at(3, 2 * kHour), {{3, kHour}}},
      {"across midnight", at(3, 23 * kHour), at(4, 2 * kHour), {{3, kHour}, {4, 2 * kHour}}},
      {"a whole day between", at(3, 23 * kHour), at(5, 1), {{3, kHour}, {4, kDay}, {5, 1}}},
      {"to midnight", at(3, 23 * kHour), at(4, 0), {{3, kHour}}},
      {"from midnight", at(4, 0), at(4, 1), {{4, 1}}},
      {"nothing", at(4, 5), at(4, 5), {}},
      {"backwards", at(4, 5), at(3, 5), {}},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    std::map<std::int64_t, std::int64_t> days;
    service::split_by_day(row.from, row.until, [&](std::int64_t day, std::int64_t us) { days[day] += us; });
    CHECK(days == row.days);
  }
}

TEST_CASE("what a run adds to days") {
  const store::Run ended{{}, 2, 512, at(3, 23 * kHour), at(5, kHour)};
  UsageByDay sums;
  service::add_run(sums, ended, 4, 4, at(9, 0));
  CHECK(sums == UsageByDay{{4, {2 * kDay / 1000, 512 * kDay / 1000}}});
  // One that runs: until now, and not into the future of a clock that was set back.
  const store::Run runs{{}, 1, 100, at(4, 0), {}};
  service::add_run(sums, runs, 4, 5, at(4, 10 * kSecond));
  CHECK(sums[4] == Usage{2 * kDay / 1000 + 10'000, 512 * kDay / 1000 + 1'000'000});
  CHECK_FALSE(sums.contains(5));
  UsageByDay none;
  service::add_run(none, runs, 3, 5, at(3, 10 * kSecond));
  CHECK(none.empty());
}

TEST_CASE("when a run ended that nobody saw end") {
  struct Row {
    std::string_view what;
    bool known;
    model::SandboxState status;
    std::int64_t active, timeout, seen, now, until;
  };
  const Row rows[] = {
      {"gone", false, stopped, 0, 60, 100, 900, 100},
      {"its machine failed", true, error, 90, 60, 100, 900, 100},
      {"idle: paused when its time was over", true, paused, 200, 60, 100, 900, 260},
      {"idle before it was last seen", true, paused, 30, 60, 100, 900, 100},
      {"not yet idle: somebody paused it", true, paused, 880, 60, 100, 900, 900},
      {"paused, and it never pauses by itself", true, paused, 200, 0, 100, 900, 100},
      {"seen in the future", false, stopped, 0, 0, 1000, 900, 900},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    store::Sandbox sandbox;
    sandbox.timeout_sec = row.timeout;
    api::agent::SandboxInfo fact;
    fact.status = row.status;
    fact.last_active_at_us = row.active * kSecond;
    const auto until = service::ran_until(sandbox, row.known ? &fact : nullptr, UnixTime{row.seen * kSecond},
                                          UnixTime{row.now * kSecond});
    CHECK(until.us == row.until * kSecond);
  }
}

TEST_CASE("buckets have the maxima of their samples") {
  const std::vector<store::TeamSample> samples{
      {UnixTime{0}, {1, 2, 100}},           {UnixTime{29 * kSecond}, {3, 1, 50}},
      {UnixTime{30 * kSecond}, {0, 0, 0}},  {UnixTime{95 * kSecond}, {2, 2, 2}},
      {UnixTime{119 * kSecond}, {1, 9, 1}},
  };
  const auto buckets = service::bucket_maxima(samples, 30s);
  REQUIRE(buckets.size() == 3);  // nothing is made up for 60 to 90
  CHECK(buckets[0] == store::TeamSample{UnixTime{0}, {3, 2, 100}});
  CHECK(buckets[1] == store::TeamSample{UnixTime{30 * kSecond}, {0, 0, 0}});
  CHECK(buckets[2] == store::TeamSample{UnixTime{90 * kSecond}, {2, 9, 2}});
  CHECK(service::bucket_maxima({}, 3s).empty());
  CHECK(service::find_stats_range("30d")->bucket == 21'600s);
  CHECK(service::find_stats_range("2h") == nullptr);
}

TEST_CASE("what a host tells replaces its own stretch of a series") {
  const auto points = [](std::initializer_list<std::int64_t> times) {
    service::MetricPoints made;
    for (const auto time : times) made.push_back({.timestamp_unix = time});
    return made;
  };
  const auto times = [](const service::MetricPoints& made) {
    std::vector<std::int64_t> all;
    for (const auto& point : made) all.push_back(point.timestamp_unix);
    return all;
  };
  using Times = std::vector<std::int64_t>;
  CHECK(times(service::merge_points(points({1, 2}), {}, 100)) == Times{1, 2});
  CHECK(times(service::merge_points({}, points({1, 2}), 100)) == Times{1, 2});
  CHECK(times(service::merge_points(points({1, 5, 9}), points({5, 8, 12}), 100)) == Times{1, 5, 8, 12});
  CHECK(times(service::merge_points(points({1, 50}), points({120}), 100)) == Times{50, 120});
}

namespace {

struct World {
  World() : database(place.open()) {
    store::migrate(*database);
    write([&](Connection& c) {
      store::insert_team(c, {team, "Team", "aaaaaa-bbbbbb", UnixTime{2}, false, {}});
      host = store::ensure_local_host(c, "unix:/a.sock", UnixTime{3}).id;
    });
  }
  template <typename F>
  void write(F work) {
    database->write_now(work);
  }
  store::Sandbox insert(model::SandboxState status, std::int64_t vcpus = 2, std::int64_t memory_mb = 512) {
    store::Sandbox row;
    row.id = model::SandboxId::random();
    row.team = team;
    row.host = host;
    row.template_id = model::TemplateId::from_number(4);
    row.template_team = model::kPlatformTeam;
    row.status = status;
    row.vcpus = vcpus;
    row.memory_mb = memory_mb;
    write([&](Connection& c) { service::transitions::insert(c, row); });
    return row;
  }
  // As an operation would write it.
  void change(store::Sandbox& row, model::SandboxState to, UnixTime when,
              std::optional<UnixTime> ran_until = {}) {
    store::Change change;
    change.to = to;
    write([&](Connection& c) {
      row =
          service::transitions::finish(c, row, change, when, {"", ran_until.has_value(), ran_until}).value();
    });
  }
  store::Sandbox run(UnixTime from) {
    auto row = insert(starting);
    change(row, running, from);
    return row;
  }
  UsageByDay usage(std::int64_t first, std::int64_t last, UnixTime when) {
    UsageByDay days;
    write([&](Connection& c) { days = service::usage_of(c, team, first, last, when); });
    return days;
  }
  int roll_up(UnixTime when) {
    int days = 0;
    bool more = true;
    while (more) {
      database->lead_now([&](Connection& c) { more = service::roll_up_one_day(c, when); });
      if (more) ++days;
    }
    return days;
  }

  TestDatabase place;
  std::unique_ptr<db::Database> database;
  model::TeamId team = model::TeamId::random();
  model::HostId host;
};

Usage seconds(std::int64_t count) {
  return {2 * count * 1000, 512 * count * 1000};
}

}  // namespace

TEST_CASE("usage is the time in which a capsule ran", "[engine]") {
  World world;
  auto row = world.run(at(10, 100 * kSecond));
  CHECK(world.usage(0, 20, at(10, 150 * kSecond)) == UsageByDay{{10, seconds(50)}});
  world.change(row, pausing, at(10, 160 * kSecond));
  world.change(row, paused, at(10, 200 * kSecond));
  CHECK(world.usage(0, 20, at(10, 900 * kSecond)) == UsageByDay{{10, seconds(100)}});
  world.change(row, resuming, at(10, 990 * kSecond));
  world.change(row, paused, at(10, 995 * kSecond));  // it failed
  world.change(row, resuming, at(10, 999 * kSecond));
  world.change(row, running, at(10, 1000 * kSecond));
  world.change(row, starting, at(10, 1010 * kSecond));  // a rollback
  world.change(row, running, at(10, 1020 * kSecond));
  world.change(row, stopping, at(10, 1030 * kSecond));
  world.change(row, stopped, at(10, 1090 * kSecond));  // the host took its time
  CHECK(world.usage(0, 20, at(10, 2000 * kSecond)) == UsageByDay{{10, seconds(130)}});
  // Today is there though nothing was used; another team has nothing but that.
  CHECK(world.usage(0, 20, at(11, 0)) == UsageByDay{{10, seconds(130)}, {11, {}}});
  world.team = model::TeamId::random();
  CHECK(world.usage(0, 20, at(11, 0)) == UsageByDay{{11, {}}});
  CHECK(world.usage(5, 10, at(11, 0)).empty());
  CHECK(world.usage(12, 20, at(11, 0)).empty());
}

TEST_CASE("a capsule that never ran, failed or was lost", "[engine]") {
  World world;
  auto never = world.insert(starting);
  world.change(never, error, at(10, 0));
  CHECK(world.usage(0, 20, at(10, kHour)) == UsageByDay{{10, {}}});
  auto failed = world.run(at(10, 0));
  world.change(failed, error, at(10, 10 * kSecond));
  world.change(failed, stopping, at(10, kHour));
  auto lost = world.run(at(10, 0));
  world.change(lost, missing, at(10, 20 * kSecond));
  CHECK(world.usage(0, 20, at(10, kHour)) == UsageByDay{{10, seconds(30)}});
  world.change(lost, running, at(10, kHour));
  CHECK(world.usage(0, 20, at(10, kHour + 5 * kSecond)) == UsageByDay{{10, seconds(35)}});
}

TEST_CASE("a clock that is set back counts nothing twice and nothing below zero", "[engine]") {
  World world;
  auto row = world.run(at(10, 100 * kSecond));
  world.change(row, paused, at(10, 50 * kSecond));
  CHECK(world.usage(10, 10, at(10, 60 * kSecond)) == UsageByDay{{10, {}}});
  world.change(row, running, at(10, 60 * kSecond));
  world.change(row, paused, at(10, 300 * kSecond));  // from 100 on
  CHECK(world.usage(10, 10, at(10, 400 * kSecond)) == UsageByDay{{10, seconds(200)}});
  world.change(row, running, at(10, 250 * kSecond));
  world.change(row, paused, at(10, 310 * kSecond));  // from 300 on
  CHECK(world.usage(10, 10, at(10, 400 * kSecond)) == UsageByDay{{10, seconds(210)}});
}

TEST_CASE("days that are over are summed up, however long ago they were", "[engine]") {
  World world;
  auto row = world.run(at(10, 23 * kHour));
  CHECK(world.roll_up(at(10, 23 * kHour)) == 0);
  CHECK(world.roll_up(at(11, kSecond)) == 0);  // what happened before midnight may still be written
  CHECK(world.roll_up(at(11, kHour)) == 1);
  CHECK(world.roll_up(at(11, kHour)) == 0);
  // Four days without a control plane.
  CHECK(world.roll_up(at(15, kHour)) == 4);
  world.change(row, paused, at(15, 2 * kHour));
  const auto before = world.usage(0, 99, at(15, 3 * kHour));
  CHECK(before == UsageByDay{{10, seconds(3600)},
                             {11, seconds(86'400)},
                             {12, seconds(86'400)},
                             {13, seconds(86'400)},
                             {14, seconds(86'400)},
                             {15, seconds(7200)}});
  // Sums do not need the runs any more.
  world.write([&](Connection& c) {
    CHECK(store::prune_runs(c, at(15, 0), 10) == 0);
    CHECK(store::prune_runs(c, at(16, 0), 10) == 1);
  });
  CHECK(world.usage(0, 14, at(15, 3 * kHour)) == UsageByDay{before.begin(), std::prev(before.end())});
}

TEST_CASE("an end that is learned late is taken off days that were summed up", "[engine]") {
  World world;
  auto row = world.run(at(10, 0));
  CHECK(world.roll_up(at(13, kHour)) == 3);
  CHECK(world.usage(12, 12, at(13, kHour)) == UsageByDay{{12, seconds(86'400)}});
  world.change(row, stopped, at(13, kHour), at(11, kHour));
  const UsageByDay truth{{10, seconds(86'400)}, {11, seconds(3600)}, {13, {}}};
  CHECK(world.usage(0, 99, at(13, 2 * kHour)) == truth);
  CHECK(world.roll_up(at(13, 2 * kHour)) == 2);
  CHECK(world.usage(0, 99, at(13, 2 * kHour)) == truth);
}

TEST_CASE("sums of days that the clock had not reached after all are made anew", "[engine]") {
  World world;
  auto row = world.run(at(10, 0));
  CHECK(world.roll_up(at(20, kHour)) == 10);  // the clock is ahead
  CHECK(world.usage(0, 99, at(11, kHour)) == UsageByDay{{10, seconds(86'400)}, {11, seconds(3600)}});
  CHECK(world.roll_up(at(11, kHour)) == 0);
  world.change(row, paused, at(11, 2 * kHour));
  CHECK(world.roll_up(at(12, kHour)) == 1);
  CHECK(world.usage(0, 99, at(12, kHour)) ==
        UsageByDay{{10, seconds(86'400)}, {11, seconds(7200)}, {12, {}}});
}

TEST_CASE("a clock that is far behind throws no sums away that cannot be made anew", "[engine]") {
  World world;
  const auto hour = at(1000, kHour);
  auto old = world.run(at(1000, 0)), young = world.run(at(1140, 0));
  world.change(old, paused, hour);
  CHECK(world.roll_up(at(1150, kHour)) == 150);
  world.write([&](Connection& c) {
    CHECK(store::prune_runs(c, service::before(at(1150, kHour), cp::limits::kUsageRunsKept), 10) == 1);
  });
  const auto truth = world.usage(0, 1149, at(1150, kHour));
  CHECK(truth.size() == 11);
  CHECK(truth.at(1000) == seconds(3600));
  for (const std::int64_t day : {0, 1000, 1051}) {
    INFO(day);
    CHECK(world.roll_up(at(day, kHour)) == 0);
    CHECK(world.roll_up(at(1150, kHour)) == 0);
    CHECK(world.usage(0, 1149, at(1150, kHour)) == truth);
  }
  // As far as the runs are kept, all is made anew.
  CHECK(world.roll_up(at(1052, kHour)) == 0);
  CHECK(world.roll_up(at(1150, kHour)) == 98);
  CHECK(world.usage(0, 1149, at(1150, kHour)) == truth);
  // What ends while the clock is wrong.
  world.change(young, stopped, at(1, kHour), at(0, kHour));
  CHECK(world.usage(0, 1149, at(1150, kHour)) == truth);
}

TEST_CASE("samples of teams", "[engine]") {
  World world;
  auto row = world.run(at(10, 0));
  auto rest = world.insert(paused, 4, 1001);
  const auto sample = [&](std::int64_t second) {
    for (const std::chrono::microseconds period : {cp::limits::kTeamSamplePeriod, cp::limits::kTeamMaximaPeriod})
      world.database->lead_now(
          [&](Connection& c) { store::sample_teams(c, period, at(10, second * kSecond), at(9, 0)); });
  };
  sample(3);
  sample(9);  // the same ten seconds, by another control plane
  world.change(rest, running, at(10, 0));
  sample(11);
  world.change(rest, stopped, at(10, 15 * kSecond));
  world.change(row, stopped, at(10, 15 * kSecond));
  sample(20);
  world.write([&](Connection& c) {
    const auto fine = store::team_samples(c, world.team, cp::limits::kTeamSamplePeriod, at(10, 0), at(11, 0));
    CHECK(fine == std::vector<store::TeamSample>{{at(10, 0), {1, 2, 512 + 501}},
                                                 {at(10, 10 * kSecond), {2, 6, 512 + 1001}},
                                                 {at(10, 20 * kSecond), {0, 0, 0}}});
    const auto coarse = store::team_samples(c, world.team, cp::limits::kTeamMaximaPeriod, at(10, 0), at(11, 0));
    CHECK(coarse == std::vector<store::TeamSample>{{at(10, 0), {2, 6, 512 + 1001}}});
    CHECK(store::team_peaks(c, world.team, cp::limits::kTeamMaximaPeriod, at(10, 0), at(11, 0)) ==
          store::TeamFigures{2, 6, 1513});
    CHECK(store::figures_of(c, world.team) == store::TeamFigures{});
    CHECK(store::team_samples(c, model::TeamId::random(), cp::limits::kTeamSamplePeriod, at(10, 0), at(11, 0))
              .empty());
    // A day after its end the team is not noted any more.
    store::sample_teams(c, cp::limits::kTeamSamplePeriod, at(12, 0), at(11, 0));
    CHECK(store::team_samples(c, world.team, cp::limits::kTeamSamplePeriod, at(12, 0), at(12, 0)).empty());
    CHECK(store::prune_team_samples(c, cp::limits::kTeamSamplePeriod, at(10, 20 * kSecond), 1) == 1);
    CHECK(store::prune_team_samples(c, cp::limits::kTeamSamplePeriod, at(10, 20 * kSecond), 9) == 1);
    CHECK(store::team_samples(c, world.team, cp::limits::kTeamSamplePeriod, at(10, 0), at(11, 0)).size() == 1);
  });
}

TEST_CASE("kept series of capsules", "[engine]") {
  World world;
  const auto id = model::SandboxId::random();
  world.write([&](Connection& c) {
    CHECK_FALSE(store::sandbox_metrics(c, id, "10m"));
    store::set_sandbox_metrics(c, id, "10m", "one", UnixTime{5});
    store::set_sandbox_metrics(c, id, "24h", "long", UnixTime{5});
    store::set_sandbox_metrics(c, id, "10m", "two", UnixTime{9});
    CHECK(store::sandbox_metrics(c, id, "10m") == "two");
    CHECK(store::prune_sandbox_metrics(c, UnixTime{9}, 10) == 1);
    CHECK_FALSE(store::sandbox_metrics(c, id, "24h"));
    store::delete_sandbox_metrics(c, id, "10m");
    CHECK_FALSE(store::sandbox_metrics(c, id, "10m"));
  });
}
