// The stream of events: what is written with its change, numbered by one process and read by groups.
#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/db/lease.h"
#include "core/events/sequencer.h"
#include "cp/store/event_log.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "unit/coroutine_test.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;
using db::Connection;

namespace {

struct World {
  World() : database(place.open()) { store::migrate(*database); }
  template <typename F>
  void write(F work) {
    database->write_now(work);
  }
  void publish(std::string resource, std::int64_t position, std::int64_t at) {
    model::Event event;
    event.type = model::event::kCapsulePause;
    event.outcome = model::Outcome::success;
    event.at = UnixTime{at};
    event.team = team;
    event.resource_type = "sandbox";
    event.resource_id = std::move(resource);
    event.position = position;
    write([&](Connection& c) { store::publish(c, event); });
  }
  // "a1 b2": resource and position of all that have a number, in its order.
  std::string order() {
    std::string text;
    std::int64_t last = 0;
    write([&](Connection& c) {
      for (const auto& event : events::read_after(c, 0, 1000)) {
        CHECK(event.seq == last + 1);
        last = event.seq;
        text += fmt::format("{}{} ", event.resource.substr(8), event.position);
      }
    });
    return text;
  }
  std::size_t number(std::size_t limit = 100) {
    std::size_t numbered = 0;
    write([&](Connection& c) { numbered = events::number(c, limit); });
    return numbered;
  }

  TestDatabase place;
  std::unique_ptr<db::Database> database;
  model::TeamId team = model::TeamId::random();
};

}  // namespace

TEST_CASE("the payload is the one of the documentation") {
  model::Event event;
  event.type = model::event::kCapsulePause;
  event.outcome = model::Outcome::success;
  event.at = *parse_rfc3339("2026-05-19T14:23:01Z");
  event.team = *model::TeamId::parse("team-000000000000000000000000a");
  event.actor = {model::Actor::Kind::user, "usr-1", "alice@example.com"};
  event.resource_type = "sandbox";
  event.resource_id = "cl-1";
  event.metadata["reason"] = "ttl_expired";
  World world;
  std::vector<events::Event> all;
  world.write([&](Connection& c) {
    store::publish(c, event);
    event.type = model::event::kHostUp;
    event.outcome = model::Outcome::none;
    event.actor = {};
    event.metadata.clear();
    event.at.us += 1;
    store::publish(c, event);
    events::number(c, 10);
    all = events::read_after(c, 0, 10);
  });
  REQUIRE(all.size() == 2);
  CHECK(all[0].payload ==
        R"({"event":"capsule.pause","outcome":"success","timestamp":"2026-05-19T14:23:01Z",)"
        R"("team_id":"team-000000000000000000000000a",)"
        R"("actor":{"type":"user","id":"usr-1","name":"alice@example.com"},)"
        R"("resource":{"id":"cl-1","type":"sandbox"},"metadata":{"reason":"ttl_expired"},"error":""})");
  CHECK(all[1].payload ==
        R"({"event":"host.up","timestamp":"2026-05-19T14:23:01Z",)"
        R"("team_id":"team-000000000000000000000000a","actor":{"type":"system","id":"","name":""},)"
        R"("resource":{"id":"cl-1","type":"sandbox"},"metadata":{},"error":""})");
}

TEST_CASE("numbers follow the times, and within a resource the positions", "[engine]") {
  World world;
  world.publish("b", 1, 20);
  world.publish("a", 1, 10);
  // The clock of the process that paused a again is behind.
  world.publish("a", 3, 5);
  world.publish("a", 2, 30);
  CHECK(world.order().empty());
  CHECK(world.number() == 4);
  CHECK(world.order() == "a1 b1 a2 a3 ");
  // What comes later comes behind, whatever its time.
  world.publish("c", 1, 1);
  CHECK(world.number() == 1);
  CHECK(world.number() == 0);
  CHECK(world.order() == "a1 b1 a2 a3 c1 ");
}

TEST_CASE("a batch of the sequencer does not tear the order of a resource", "[engine]") {
  World world;
  world.publish("a", 2, 5);
  world.publish("b", 1, 10);
  world.publish("c", 1, 11);
  world.publish("a", 1, 12);
  while (world.number(1) == 1) {
  }
  CHECK(world.order() == "b1 c1 a1 a2 ");
}

TEST_CASE("an event of a write that fails never was", "[engine]") {
  World world;
  CHECK_THROWS(world.write([&](Connection& c) {
    model::Event event;
    event.type = model::event::kCapsuleCreate;
    event.resource_type = "sandbox";
    store::publish(c, event);
    throw_error(ErrorCode::aborted, "no");
  }));
  CHECK(world.number() == 0);
}

TEST_CASE("a group begins before the first event and only goes forward", "[engine]") {
  World world;
  world.write([](Connection& c) {
    CHECK(events::group_position(c, "g") == 0);
    events::move_group(c, "g", 7);
    events::move_group(c, "g", 3);
    CHECK(events::group_position(c, "g") == 7);
    CHECK(events::group_position(c, "h") == 0);
  });
}

TEST_CASE("events are deleted once they are old and every group is past them", "[engine]") {
  World world;
  for (int i = 1; i <= 4; ++i) world.publish("a", i, i * 10);
  CHECK(world.number(3) == 3);
  world.write([](Connection& c) {
    CHECK(store::trim_events(c, UnixTime{100}, 10) == 0);  // no group has read them
    events::move_group(c, "one", 3);
    events::move_group(c, "other", 2);
    CHECK(store::trim_events(c, UnixTime{20}, 10) == 1);
    CHECK(store::trim_events(c, UnixTime{100}, 10) == 1);
    events::move_group(c, "other", 3);
    CHECK(store::trim_events(c, UnixTime{100}, 10) == 1);
    CHECK(store::trim_events(c, UnixTime{100}, 10) == 0);  // the last has no number yet
  });
  CHECK(world.number() == 1);
  world.write([](Connection& c) { CHECK(events::last_number(c) == 4); });
}

TEST_CASE("a lease is one holder's until it is over or given back", "[engine]") {
  World world;
  const auto at = [](std::int64_t s) { return UnixTime{s * 1'000'000}; };
  const auto write = [&](auto work) { world.write(work); };
  write([&](Connection& c) { CHECK(db::take_lease(c, "work", "a", at(0), 10s)); });
  write([&](Connection& c) { CHECK_FALSE(db::take_lease(c, "work", "b", at(9), 10s)); });
  write([&](Connection& c) { CHECK(db::take_lease(c, "other", "b", at(9), 10s)); });
  write([&](Connection& c) { CHECK(db::renew_lease(c, "work", "a", at(9), 10s)); });
  write([&](Connection& c) { CHECK_FALSE(db::take_lease(c, "work", "b", at(18), 10s)); });
  write([&](Connection& c) { CHECK(db::take_lease(c, "work", "b", at(19), 10s)); });
  write([&](Connection& c) { CHECK_FALSE(db::renew_lease(c, "work", "a", at(20), 10s)); });
  write([&](Connection& c) { db::guard_lease(c, "work", "b"); });
  CHECK_THROWS_AS(world.write([&](Connection& c) { db::guard_lease(c, "work", "a"); }), Error);
  write([&](Connection& c) { db::release_lease(c, "work", "a"); });
  write([&](Connection& c) { db::guard_lease(c, "work", "b"); });
  write([&](Connection& c) { db::release_lease(c, "work", "b"); });
  CHECK_THROWS_AS(world.write([&](Connection& c) { db::guard_lease(c, "work", "b"); }), Error);
  write([&](Connection& c) { CHECK(db::take_lease(c, "work", "a", at(20), 10s)); });
}

namespace {

struct Worker {
  Worker(async::Executor executor, db::Database& database) : lease(executor, database, "work", 2s) {}
  async::Task<> work() {
    ++begun;
    for (;;) {
      auto step = [](Connection&) {};
      co_await lease.write(step);
      ++steps;
      co_await async::sleep(10ms);
    }
  }
  async::Task<> run() {
    auto work = [this] { return this->work(); };
    co_await lease.run(std::move(work));
  }
  db::Lease lease;
  int begun = 0, steps = 0;
};

async::Task<> until(std::function<bool()> what) {
  const auto end = SteadyClock::now() + 20s;
  while (!what() && SteadyClock::now() < end) co_await async::sleep(5ms);
  REQUIRE(what());
}

async::Task<> hand_over(db::Database& database, Worker& a, Worker& b, async::Scope& first,
                        async::Scope& second) {
  first.spawn(a.run());
  co_await until([&] { return a.steps > 2; });
  second.spawn(b.run());
  co_await async::sleep(3s);  // longer than the lease: it was renewed
  CHECK(a.lease.held());
  CHECK(b.begun == 0);

  // Somebody else has it, as after a pause of the whole machine: the next write fails, and nothing is lost.
  auto steal = [](Connection& c) { c.execute("UPDATE leases SET holder = 'x', expires_at = 0"); };
  co_await database.write(steal);
  co_await until([&] { return !a.lease.held(); });
  co_await until([&] { return a.lease.held() || b.lease.held(); });

  Worker& other = a.lease.held() ? b : a;
  auto& ending = a.lease.held() ? first : second;
  const int before = other.begun;
  const auto asked = SteadyClock::now();
  ending.cancel();
  co_await ending.join();
  co_await until([&] { return other.begun > before; });
  CHECK(SteadyClock::now() - asked < 3s);
}

async::Task<> lease_test(db::Database& database, db::Database& elsewhere) {
  const auto executor = co_await asio::this_coro::executor;
  Worker a(executor, database), b(executor, elsewhere);
  async::Scope first(executor, "a"), second(executor, "b");
  auto both = hand_over(database, a, b, first, second);
  auto inner = first.run(std::move(both));
  co_await second.run(std::move(inner));
}

async::Task<> numbered_soon(World& world, events::Sequencer& sequencer, async::Scope& scope) {
  scope.spawn(sequencer.run());
  for (int i = 1; i <= 20; ++i) {
    auto add = [&world, i](Connection& c) {
      events::append(c, {"capsule.pause", world.team.text(), "sandbox:a", i, "{}", UnixTime{i}});
    };
    co_await world.database->write(add);
  }
  auto last = [](Connection& c) { return events::last_number(c); };
  for (;;) {
    if (co_await world.database->read(last) == 20) co_return;
    co_await async::sleep(5ms);
  }
}

async::Task<> sequencer_test(World& world) {
  const auto executor = co_await asio::this_coro::executor;
  events::Sequencer sequencer(executor, *world.database);
  async::Scope scope(executor, "test");
  auto main = numbered_soon(world, sequencer, scope);
  co_await scope.run(std::move(main));
}

}  // namespace

TEST_CASE("work of a lease moves to another process when it is lost or given back", "[engine]") {
  World world;
  const auto other = world.place.open();
  test::run(lease_test(*world.database, *other));
}

TEST_CASE("the sequencer numbers what is appended", "[engine]") {
  World world;
  test::run(sequencer_test(world));
}
