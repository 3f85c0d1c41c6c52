// Deliveries: their order, what an outage does to them, and who goes on when a process ends.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/json/reader.h"
#include "core/metrics/metrics.h"
#include "cp/channels/deliverer.h"
#include "cp/channels/limits.h"
#include "cp/channels/sealed_config.h"
#include "cp/store/event_log.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "unit/coroutine_test.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using namespace std::chrono_literals;
using async::Task;
using db::Connection;

namespace {

const crypto::Aead kAead(Secret(std::string(32, 'k')));
EncryptionKey kKey(kAead);

struct World {
  World() : database(place.open()) {
    store::migrate(*database);
    write([&](Connection& c) { store::insert_team(c, {team, "Team", "aaaaaa-bbbbbb", UnixTime{2}}); });
  }
  template <typename F>
  void write(F work) {
    database->write_now(work);
  }
  model::ChannelId add_channel(std::string name, std::vector<std::string> events = {"capsule.pause"}) {
    store::Channel channel;
    channel.id = model::ChannelId::random();
    channel.team = team;
    channel.name = name;
    channel.provider = "webhook";
    channel.events = std::move(events);
    channel.config = channels::seal(kAead, {{"url", "http://receiver/" + name}, {"secret", "s"}});
    write([&](Connection& c) { store::insert_channel(c, channel); });
    return channel.id;
  }
  // Events of these resources, in this order; numbered, if nobody else does.
  void publish(const std::vector<std::string>& resources, std::string type = "capsule.pause",
               bool number = true) {
    write([&](Connection& c) {
      for (const auto& resource : resources) {
        ++count;
        model::Event event;
        event.type = type;
        event.at = UnixTime{begun.us + count};
        event.team = team;
        event.resource_type = "sandbox";
        event.resource_id = resource;
        event.position = count;
        event.metadata["n"] = std::to_string(count);
        store::publish(c, event);
      }
      if (number)
        while (events::number(c, 500) == 500) {
        }
    });
  }
  void take_in() {
    write([&](Connection& c) {
      const auto batch = events::read_after(c, events::group_position(c, "g"), 1000);
      store::take_in(c, batch, UnixTime{1});
      if (!batch.empty()) events::move_group(c, "g", batch.back().seq);
    });
  }
  std::vector<store::Delivery> due(const model::ChannelId& channel, std::int64_t at = 100,
                                   std::int64_t limit = 100) {
    std::vector<store::Delivery> found;
    write([&](Connection& c) { found = store::due_deliveries(c, channel, UnixTime{at}, limit); });
    return found;
  }
  std::string due_text(const model::ChannelId& channel, std::int64_t at = 100) {
    std::string text;
    for (const auto& one : due(channel, at)) text += fmt::format("{}{} ", one.resource.substr(8), one.seq);
    return text;
  }
  void note(const store::Delivery& delivery, std::string status, std::int64_t due_at = 0) {
    store::Attempt attempt;
    attempt.event_id = delivery.event_id;
    attempt.channel = delivery.channel;
    attempt.status = std::move(status);
    attempt.at = UnixTime{50};
    attempt.due_at = UnixTime{due_at};
    write([&](Connection& c) { store::note_attempt(c, attempt); });
  }
  std::vector<store::Delivery> page(const model::ChannelId& channel, std::string status = "") {
    std::vector<store::Delivery> found;
    write([&](Connection& c) { found = store::deliveries_page(c, channel, status, 0, 20'000); });
    return found;
  }

  TestDatabase place;
  std::unique_ptr<db::Database> database;
  model::TeamId team = model::TeamId::random();
  const UnixTime begun = now();
  std::int64_t count = 0;
};

}  // namespace

TEST_CASE("a channel gets the events it names, of its team", "[engine]") {
  World world;
  const auto pauses = world.add_channel("pauses");
  const auto both = world.add_channel("both", {"capsule.pause", "capsule.resume"});
  world.publish({"a"});
  world.publish({"a"}, "capsule.resume");
  world.team = model::TeamId::random();
  world.publish({"b"});
  world.take_in();
  CHECK(world.page(pauses).size() == 1);
  CHECK(world.page(both).size() == 2);
  CHECK(world.page(both).front().type == "capsule.resume");
}

TEST_CASE("of one resource one delivery may be tried, the next when that is over", "[engine]") {
  World world;
  const auto channel = world.add_channel("c");
  world.publish({"a", "b", "a", "a", "c"});
  world.take_in();
  CHECK(world.due_text(channel) == "a1 b2 c5 ");
  auto first = world.due(channel)[0];

  // It failed, and is tried later: the others of a wait behind it.
  world.note(first, "pending", 80);
  CHECK(world.due_text(channel, 79) == "b2 c5 ");
  CHECK(world.due_text(channel, 80) == "a1 b2 c5 ");
  world.write([&](Connection& c) { CHECK(store::next_due(c, channel) == UnixTime{1}); });

  // Events that come meanwhile line up, too.
  world.publish({"a", "d"});
  world.take_in();
  CHECK(world.due_text(channel) == "a1 b2 c5 d7 ");
  world.note(first, "delivered");
  CHECK(world.due_text(channel) == "b2 a3 c5 d7 ");
  world.note(first, "delivered");  // told twice
  CHECK(world.due_text(channel) == "b2 a3 c5 d7 ");
  world.note(world.due(channel)[1], "dead");
  CHECK(world.due_text(channel) == "b2 a4 c5 d7 ");
  CHECK(world.page(channel, "dead").size() == 1);
  CHECK(world.page(channel, "delivered").size() == 1);
}

TEST_CASE("when an outage ends, what waited for it is due, and what was refused keeps its time", "[engine]") {
  World world;
  const auto channel = world.add_channel("c");
  world.publish({"a", "b"});
  world.take_in();
  const auto both = world.due(channel);
  world.note(both[0], "pending", 500);
  world.note(both[1], "pending", 500);
  world.write([&](Connection& c) {
    c.execute("UPDATE deliveries SET refusals = 1 WHERE event_id = $1", {both[1].event_id});
    store::end_outage(c, channel, UnixTime{60});  // there was none
  });
  CHECK(world.due_text(channel).empty());
  world.write([&](Connection& c) {
    store::set_channel_probe(c, channel, UnixTime{70});
    store::end_outage(c, channel, UnixTime{60});
    CHECK_FALSE(store::find_channel(c, channel)->probe_at);
  });
  CHECK(world.due_text(channel, 60) == "a1 ");
  world.write([&](Connection& c) { store::try_at_once(c, channel, UnixTime{60}); });
  CHECK(world.due_text(channel, 60) == "a1 b2 ");
}

TEST_CASE("a delivery that is over can be made once more", "[engine]") {
  World world;
  const auto channel = world.add_channel("c");
  world.publish({"a", "a"});
  world.take_in();
  const auto first = world.due(channel)[0];
  world.note(first, "dead");
  world.write([&](Connection& c) {
    CHECK(store::redeliver(c, channel, first.event_id, UnixTime{60}));
    CHECK_FALSE(store::redeliver(c, channel, first.event_id, UnixTime{60}));
    CHECK_FALSE(store::redeliver(c, channel, "nothing", UnixTime{60}));
  });
  CHECK(world.due_text(channel) == "a2 ");  // the one that is on its way already
  world.note(world.due(channel)[0], "delivered");
  CHECK(world.due_text(channel) == "a1 ");
  CHECK(world.due(channel)[0].attempts == 0);
}

TEST_CASE("a lost mark is mended", "[engine]") {
  World world;
  const auto channel = world.add_channel("c");
  world.publish({"a", "a", "b"});
  world.take_in();
  world.write([&](Connection& c) {
    c.execute("UPDATE deliveries SET first = 0");
    store::mend_first_deliveries(c);
  });
  CHECK(world.due_text(channel) == "a1 b3 ");
}

TEST_CASE("events that somebody waits for are kept, and go with all that is known of them", "[engine]") {
  World world;
  const auto channel = world.add_channel("c");
  world.publish({"a", "b"});
  world.take_in();
  world.note(world.due(channel)[0], "delivered");
  world.write([&](Connection& c) { CHECK(store::trim_events(c, UnixTime{world.begun.us + 1000}, 10) == 1); });
  CHECK(world.page(channel).size() == 1);
  world.write([&](Connection& c) {
    CHECK(store::delete_channel(c, world.team, channel));
    CHECK(store::trim_events(c, UnixTime{world.begun.us + 1000}, 10) == 1);
  });
}

TEST_CASE("names of channels are unique within a team", "[engine]") {
  World world;
  world.add_channel("c");
  CHECK_THROWS_AS(world.add_channel("c"), Error);
  const auto home = world.team;
  world.team = model::TeamId::random();
  world.write(
      [&](Connection& c) { store::insert_team(c, {world.team, "Other", "cccccc-dddddd", UnixTime{2}}); });
  world.add_channel("c");
  world.write([&](Connection& c) {
    CHECK(store::channels_of(c, home).size() == 1);
    CHECK(store::count_channels(c, world.team) == 1);
  });
}

namespace {

// The receivers: what they were sent, and how they answer.
class Receivers final : public channels::Sender {
 public:
  explicit Receivers(async::Executor executor) : changed(executor) {}

  Task<outbound::Response> send(outbound::Request request) override {
    const auto host = request.url.substr(request.url.rfind('/') + 1);
    const auto body = json::parse(request.body);
    const auto n = *body.find("metadata")->find("n")->as_string();
    const auto resource = *body.find("resource")->find("id")->as_string();
    const auto key = host + "/" + resource;
    // Never two of one resource at once.
    CHECK(under_way.insert(key).second);
    const ScopeGuard over([&] { under_way.erase(key); });
    most_at_once = std::max(most_at_once, under_way.size());
    ++attempts[host + "/" + n];
    ++total;
    const int answer = answers.contains(host + "/" + n) ? answers[host + "/" + n]
                       : answers.contains(host)         ? answers[host]
                                                        : 200;
    co_await async::sleep(1ms);
    changed.notify_all();
    if (answer == 0) throw_error(ErrorCode::unavailable, "connection refused");
    if (answer == 200) got[key].push_back(std::stoi(n));
    outbound::Response response;
    response.status = answer;
    co_return response;
  }

  Task<> until(std::function<bool()> what) {
    const auto end = SteadyClock::now() + 25s;
    while (!what() && SteadyClock::now() < end) (void)co_await changed.wait_for(50ms);
    REQUIRE(what());
  }
  std::size_t received() const {
    std::size_t all = 0;
    for (const auto& [key, events] : got) all += events.size();
    return all;
  }

  std::map<std::string, int> answers;           // by receiver, or receiver and event; 0: nobody is there
  std::map<std::string, int> attempts;          // by receiver and event
  std::map<std::string, std::vector<int>> got;  // by receiver and resource
  std::set<std::string> under_way;
  std::size_t most_at_once = 0, total = 0;
  async::Event changed;
};

ChannelConfig quick() {
  ChannelConfig config;
  config.first_retry = 60ms;
  config.second_retry = 120ms;
  return config;
}

struct Stage {
  Stage(async::Executor executor, World& world, ChannelConfig settings = quick())
      : config(std::move(settings)),
        receivers(executor),
        deliverer(executor, *world.database, kKey, receivers, metrics, config, 24h),
        scope(executor, "deliverer") {}
  ChannelConfig config;
  Receivers receivers;
  metrics::Registry metrics;
  channels::Deliverer deliverer;
  async::Scope scope;
};

using Play = std::function<Task<>(World&, Stage&)>;

Task<> perform(World& world, Play play) {
  Stage stage(co_await asio::this_coro::executor, world);
  stage.scope.spawn(stage.deliverer.run());
  auto main = play(world, stage);
  co_await stage.scope.run(std::move(main));
}

std::vector<std::string> mixed(int events, int resources) {
  std::vector<std::string> all;
  for (int i = 0; i < events; ++i) all.push_back(fmt::format("r{}", i % resources));
  return all;
}

Task<> until_finished(World& world, model::ChannelId channel, std::size_t delivered, std::size_t dead) {
  auto count = [&](Connection& c) {
    return std::pair(store::deliveries_page(c, channel, "delivered", 0, 20'000).size(),
                     store::deliveries_page(c, channel, "dead", 0, 20'000).size());
  };
  const auto end = SteadyClock::now() + 25s;
  std::pair<std::size_t, std::size_t> now;
  while (SteadyClock::now() < end) {
    now = co_await world.database->read(count);
    if (now == std::pair(delivered, dead)) co_return;
    co_await async::sleep(20ms);
  }
  CHECK(now.first == delivered);
  CHECK(now.second == dead);
}

Task<> all_in_order(World& world, Stage& stage) {
  const auto channel = world.add_channel("hook");
  world.publish(mixed(300, 20));
  co_await until_finished(world, channel, 300, 0);
  CHECK(stage.receivers.total == 300);
  CHECK(stage.receivers.got.size() == 20);
  for (const auto& [key, events] : stage.receivers.got) CHECK(std::is_sorted(events.begin(), events.end()));
  CHECK(stage.receivers.most_at_once > 1);
  CHECK(stage.receivers.most_at_once <= channels::limits::kAtOncePerChannel);
}

Task<> refusals_are_dead(World& world, Stage& stage) {
  const auto channel = world.add_channel("hook");
  stage.receivers.answers["hook/1"] = 500;
  world.publish({"a", "a", "b"});
  co_await until_finished(world, channel, 2, 1);
  CHECK(stage.receivers.attempts["hook/1"] == 3);
  CHECK(stage.receivers.got["hook/a"] == std::vector<int>{2});  // behind the dead one
  const auto dead = world.page(channel, "dead");
  CHECK(dead[0].last_status == 500);
  CHECK(dead[0].attempts == 3);
}

Task<> outage(World& world, Stage& stage) {
  const auto channel = world.add_channel("hook");
  const auto other = world.add_channel("other");
  stage.receivers.answers["hook"] = 0;
  const auto began = SteadyClock::now();
  world.publish(mixed(400, 40));
  co_await until_finished(world, other, 400, 0);  // it does not suffer
  co_await async::sleep(1s);
  // One attempt each 60 ms at most, beside the eight that were under way when it began.
  std::size_t attempts = 0;
  for (const auto& [key, count] : stage.receivers.attempts)
    if (key.starts_with("hook/")) attempts += static_cast<std::size_t>(count);
  CHECK(attempts > 3);
  CHECK(attempts <= 10 + static_cast<std::size_t>((SteadyClock::now() - began) / 60ms));
  stage.receivers.answers.erase("hook");
  co_await until_finished(world, channel, 400, 0);
  for (const auto& [key, events] : stage.receivers.got) CHECK(std::is_sorted(events.begin(), events.end()));
}

Task<> config_gone_bad(World& world, Stage&) {
  const auto channel = world.add_channel("hook");
  auto spoil = [&](Connection& c) {
    c.execute("UPDATE channels SET config = '{\"url\":\"AAAA\"}' WHERE id = $1", {channel.text()});
  };
  co_await world.database->write(spoil);
  world.publish({"a"});
  co_await until_finished(world, channel, 0, 1);
}

Task<> once_more(World& world, Stage& stage) {
  const auto channel = world.add_channel("hook");
  world.publish({"a"});
  co_await until_finished(world, channel, 1, 0);
  const auto event = world.page(channel)[0].event_id;
  auto again = [&](Connection& c) { return store::redeliver(c, channel, event, now()); };
  const bool done = co_await world.database->lead(again);
  CHECK(done);
  co_await stage.receivers.until([&] { return stage.receivers.received() == 2; });
}

Task<> two_processes(World& world, db::Database& elsewhere) {
  const auto executor = co_await asio::this_coro::executor;
  const auto channel = world.add_channel("hook");
  Receivers receivers(executor);
  metrics::Registry metrics;
  const auto config = quick();
  channels::Deliverer one(executor, *world.database, kKey, receivers, metrics, config, 24h);
  channels::Deliverer two(executor, elsewhere, kKey, receivers, metrics, config, 24h);
  auto first = std::make_unique<async::Scope>(executor, "one"),
       second = std::make_unique<async::Scope>(executor, "two");
  first->spawn(one.run());
  second->spawn(two.run());
  world.publish(mixed(200, 10));
  co_await receivers.until([&] { return receivers.received() > 50; });
  // Whichever works ends in the middle; the other goes on.
  first->cancel();
  co_await first->join();
  co_await receivers.until([&] { return receivers.received() > 120; });
  second->cancel();
  co_await second->join();
  first->spawn(one.run());
  co_await until_finished(world, channel, 200, 0);
  first->cancel();
  co_await first->join();
  for (auto [key, events] : receivers.got) {
    // Those whose result was not written came twice, one after the other.
    events.erase(std::unique(events.begin(), events.end()), events.end());
    CHECK(std::is_sorted(events.begin(), events.end()));
    CHECK(events.size() == 20);
  }
}

void play(Play what) {
  World world;
  test::run(perform(world, std::move(what)));
}

}  // namespace

TEST_CASE("everything is delivered, in the order of each resource", "[engine]") {
  play(all_in_order);
}
TEST_CASE("what a receiver refuses three times is dead, and the next has its turn", "[engine]") {
  play(refusals_are_dead);
}
TEST_CASE("an outage costs the waiting events nothing", "[engine]") {
  play(outage);
}
TEST_CASE("a configuration that cannot be read is the end of its deliveries only", "[engine]") {
  play(config_gone_bad);
}
TEST_CASE("what is to be delivered once more is", "[engine]") {
  play(once_more);
}

TEST_CASE("another process goes on where one has ended", "[engine]") {
  World world;
  const auto other = world.place.open();
  test::run(two_processes(world, *other));
}
