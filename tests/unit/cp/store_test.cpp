#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "cp/service/api_keys.h"
#include "cp/service/bootstrap.h"
#include "cp/service/credentials.h"
#include "cp/store/api_keys.h"
#include "cp/store/hosts.h"
#include "cp/store/sandboxes.h"
#include "cp/store/schema.h"
#include "cp/store/teams.h"
#include "cp/store/templates.h"
#include "unit/db/test_database.h"

using namespace wrenn;
using namespace wrenn::cp;
using db::Connection;
using enum model::SandboxState;

namespace {

struct World {
  World() : database(place.open()) {
    store::migrate(*database);
    write([&](Connection& c) {
      store::ensure_platform_team(c, UnixTime{1});
      store::insert_team(c, {team, "Team", "aaaaaa-bbbbbb", UnixTime{2}, false, {}});
      host = store::ensure_local_host(c, "unix:/a.sock", UnixTime{3});
    });
  }
  template <typename F>
  void write(F work) {
    database->write_now(work);
  }
  store::Sandbox insert(model::SandboxState status, std::int64_t created_us = 10) {
    store::Sandbox row;
    row.id = model::SandboxId::random();
    row.team = team;
    row.host = host.id;
    row.template_name = "minimal";
    row.template_id = model::TemplateId::from_number(4);
    row.template_team = model::kPlatformTeam;
    row.status = status;
    row.vcpus = 2;
    row.memory_mb = 1024;
    row.disk_size_mb = 5120;
    row.timeout_sec = 60;
    row.created_at = row.last_updated = UnixTime{created_us};
    write([&](Connection& c) { store::insert_sandbox(c, row); });
    return row;
  }
  std::optional<store::Sandbox> find(const model::SandboxId& id) {
    std::optional<store::Sandbox> row;
    write([&](Connection& c) { row = store::find_sandbox(c, id); });
    return row;
  }

  TestDatabase place;
  std::unique_ptr<db::Database> database;
  model::TeamId team = model::TeamId::random();
  store::Host host;
};

}  // namespace

TEST_CASE("a row comes back as it went in", "[engine]") {
  World world;
  auto row = world.insert(starting);
  auto found = world.find(row.id);
  REQUIRE(found);
  CHECK(found->team == world.team);
  CHECK(found->host == world.host.id);
  CHECK(found->template_id == row.template_id);
  CHECK(found->template_team == model::kPlatformTeam);
  CHECK(found->status == starting);
  CHECK(found->vcpus == 2);
  CHECK(found->memory_mb == 1024);
  CHECK(found->timeout_sec == 60);
  CHECK(found->metadata == "{}");
  CHECK(found->revision == 1);
  CHECK_FALSE(found->started_at);
  CHECK_FALSE(found->status_deadline);
  world.write([&](Connection& c) {
    CHECK(store::find_sandbox(c, world.team, row.id));
    CHECK_FALSE(store::find_sandbox(c, model::TeamId::random(), row.id));
    CHECK_FALSE(store::find_sandbox(c, model::SandboxId::random()));
  });
}

TEST_CASE("compare-and-set: of two who begin, one gets it", "[engine]") {
  World world;
  const auto row = world.insert(running);
  world.write([&](Connection& c) {
    store::Change pause;
    pause.to = pausing;
    pause.deadline = UnixTime{99};
    const auto first = store::begin_change(c, row.id, {running}, pause, UnixTime{20});
    REQUIRE(first);
    CHECK(first->status == pausing);
    CHECK(first->revision == 2);
    CHECK(first->status_deadline == UnixTime{99});
    CHECK(first->last_updated == UnixTime{20});
    CHECK_FALSE(store::begin_change(c, row.id, {running}, pause, UnixTime{21}));
    CHECK_FALSE(store::begin_change(c, model::SandboxId::random(), {running}, pause, UnixTime{21}));

    // Somebody destroys it while the pause is under way: the pause's end changes nothing.
    store::Change destroy;
    destroy.to = stopping;
    const auto second = store::begin_change(c, row.id, {running, pausing, paused}, destroy, UnixTime{22});
    REQUIRE(second);
    store::Change done;
    done.to = paused;
    CHECK_FALSE(store::finish_change(c, row.id, first->revision, done, UnixTime{23}));
    store::Change gone;
    gone.to = stopped;
    const auto last = store::finish_change(c, row.id, second->revision, gone, UnixTime{24});
    REQUIRE(last);
    CHECK(last->status == stopped);
    CHECK_FALSE(last->status_deadline);
    CHECK_FALSE(store::finish_change(c, row.id, second->revision, gone, UnixTime{25}));
  });
}

TEST_CASE("a change sets what it names and keeps the rest", "[engine]") {
  World world;
  const auto row = world.insert(starting);
  world.write([&](Connection& c) {
    store::Change change;
    change.to = running;
    change.host_ip = "10.11.0.2";
    change.metadata = R"({"a":"b"})";
    change.started_at = UnixTime{30};
    change.last_active_at = UnixTime{31};
    const auto first = store::finish_change(c, row.id, 1, change, UnixTime{32});
    REQUIRE(first);
    CHECK(first->host_ip == "10.11.0.2");
    store::Change next;
    next.to = paused;
    next.reason = "ttl_expired";
    next.host_ip = "";
    const auto second = store::finish_change(c, row.id, first->revision, next, UnixTime{33});
    REQUIRE(second);
    CHECK(second->status_reason == "ttl_expired");
    CHECK(second->host_ip.empty());
    CHECK(second->metadata == R"({"a":"b"})");
    CHECK(second->started_at == UnixTime{30});
    CHECK(second->last_active_at == UnixTime{31});
    store::set_sandbox_active(c, row.id, UnixTime{40});
    const auto touched = store::find_sandbox(c, row.id);
    CHECK(touched->last_active_at == UnixTime{40});
    CHECK(touched->revision == second->revision);
  });
}

TEST_CASE("a row that a process works on says so and is otherwise the same", "[engine]") {
  for (const auto status : {pending, starting, running, pausing, paused, resuming, stopping, stopped, missing, error}) {
    World world;
    const auto row = world.insert(status);
    CHECK(world.find(row.id)->attended_at == UnixTime{});
    world.write([&](Connection& c) { store::set_sandbox_attended(c, row.id, UnixTime{40}); });
    const auto attended = world.find(row.id);
    CHECK(attended->attended_at == UnixTime{is_transient(status) ? 40 : 0});
    CHECK(attended->revision == row.revision);
    CHECK(attended->last_updated == row.last_updated);
  }
}

TEST_CASE("what counts as a team's is the same for a status and for a row", "[engine]") {
  for (const auto status : {pending, starting, running, pausing, paused, resuming, stopping, stopped, missing, error}) {
    World world;
    world.insert(status);
    world.write([&](Connection& c) {
      const auto reserved = store::reserved_by(c, world.team);
      CHECK(reserved.sandboxes == (store::is_reserved(status) ? 1 : 0));
      CHECK(reserved.memory_mb == (store::is_reserved(status) ? 1024 : 0));
    });
  }
}

TEST_CASE("the list: one team's, live, newest first", "[engine]") {
  World world;
  const auto old = world.insert(running, 10), young = world.insert(paused, 20);
  world.insert(stopped, 30);
  world.insert(error, 40);
  std::vector<model::SandboxId> listed;
  world.write([&](Connection& c) {
    for (const auto& one : store::listed_sandboxes(c, world.team)) listed.push_back(one.id);
    CHECK(store::listed_sandboxes(c, model::TeamId::random()).empty());
    CHECK(store::live_sandboxes(c, world.host.id).size() == 2);
    CHECK(store::live_sandboxes(c, model::HostId::random()).empty());
    const auto counts = store::count_sandboxes(c);
    CHECK(counts.at(running) == 1);
    CHECK(counts.at(paused) == 1);
    CHECK_FALSE(counts.contains(stopped));
  });
  CHECK(listed == std::vector<model::SandboxId>{young.id, old.id});
}

TEST_CASE("the host keeps its row when its address changes", "[engine]") {
  World world;
  world.write([&](Connection& c) {
    CHECK(store::ensure_local_host(c, "unix:/a.sock", UnixTime{50}).id == world.host.id);
    const auto moved = store::ensure_local_host(c, "10.0.0.1:50051", UnixTime{51});
    CHECK(moved.id == world.host.id);
    CHECK(moved.address == "10.0.0.1:50051");
    CHECK(store::set_host_heard(c, world.host.id, UnixTime{52}));
    CHECK_FALSE(store::set_host_heard(c, world.host.id, UnixTime{53}));
    CHECK(store::set_host_unreachable(c, world.host.id, UnixTime{54}));
    const auto lost = store::ensure_local_host(c, "10.0.0.1:50051", UnixTime{55});
    CHECK(lost.status == "unreachable");
    CHECK(lost.last_heartbeat_at == UnixTime{53});
  });
}

TEST_CASE("hosts are listed with the team whose they are", "[engine]") {
  World world;
  const auto other = model::TeamId::random();
  const auto insert = [&](Connection& c, std::string_view type, const std::optional<std::string>& team, int at) {
    const auto id = model::HostId::random();
    c.execute("INSERT INTO hosts (id, type, team_id, provider, availability_zone, address, created_by, created_at, updated_at) "
              "VALUES ($1, $2, $3, 'p', 'z', 'unix:/b.sock', 'usr-x', $4, $5)",
              {id.text(), type, team, at, at + 1});
    return id;
  };
  world.write([&](Connection& c) {
    store::insert_team(c, {other, "Other", "cccccc-dddddd", UnixTime{2}, true, {}});
    const auto theirs = insert(c, "byoc", other.text(), 20);
    const auto mine = insert(c, "byoc", world.team.text(), 10);
    insert(c, "regular", std::nullopt, 30);
    insert(c, "regular", other.text(), 40);

    const auto all = store::all_hosts(c);
    REQUIRE(all.size() == 5);
    CHECK(all[0].host.id == world.host.id);
    CHECK(all[0].host.type == store::kRegularHost);
    CHECK_FALSE(all[0].host.team.has_value());
    CHECK(all[0].team_name.empty());
    CHECK(all[0].host.created_by.empty());
    CHECK(all[0].host.created_at == UnixTime{3});
    CHECK(all[1].host.id == mine);
    CHECK(all[1].team_name == "Team");
    CHECK(all[2].team_name == "Other");

    const auto own = store::byoc_hosts_of(c, other);
    REQUIRE(own.size() == 1);
    CHECK(own[0].host.id == theirs);
    CHECK(store::byoc_hosts_of(c, model::TeamId::random()).empty());

    const auto found = store::find_host(c, mine);
    REQUIRE(found);
    CHECK(found->host.team == world.team);
    CHECK(found->host.provider == "p");
    CHECK(found->host.availability_zone == "z");
    CHECK(found->host.address == "unix:/b.sock");
    CHECK(found->host.created_by == "usr-x");
    CHECK(found->host.created_at == UnixTime{10});
    CHECK(found->host.updated_at == UnixTime{11});
    CHECK_FALSE(store::find_host(c, model::HostId::random()));
  });
}

// --- templates
// -----------------------------------------------------------------------------------------------------

namespace {

store::HostedTemplate hosted_base(std::uint64_t id, std::string name, std::int64_t size) {
  store::HostedTemplate one;
  one.row.id = model::TemplateId::from_number(id);
  one.row.name = std::move(name);
  one.row.type = store::kBase;
  one.row.size_bytes = size;
  one.row.default_user = "root";
  one.row.created_at = UnixTime{60};
  return one;
}

store::HostedTemplate hosted_snapshot(const World& world, std::string name) {
  auto one = hosted_base(0, std::move(name), 7);
  one.row.id = model::TemplateId::random();
  one.row.team = world.team;
  one.row.type = store::kSnapshot;
  one.row.vcpus = 1;
  one.row.memory_mb = 256;
  one.generation = "g1";
  return one;
}

std::vector<std::string> usable_names(Connection& c, const World& world) {
  std::vector<std::string> all;
  for (const auto& one : store::usable_templates(c, world.team)) all.push_back(one.name);
  return all;
}

// What the host tells at the time `at`, of a question asked a microsecond before.
store::Followed follow(Connection& c, const World& world, const std::vector<store::HostedTemplate>& told,
                       std::int64_t at) {
  return store::follow_host_templates(c, world.host.id, told, UnixTime{at - 1}, UnixTime{at});
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("base templates follow what the host has", "[engine]") {
  World world;
  world.write([&](Connection& c) {
    CHECK(usable_names(c, world).empty());
    follow(c, world, {hosted_base(4, "minimal-debian", 100), hosted_base(0, "minimal-ubuntu", 1)}, 100);
    CHECK(usable_names(c, world) == Names{"minimal-ubuntu", "minimal-debian"});
    // Again, with another size: the row stays the same one.
    follow(c, world, {hosted_base(4, "minimal-debian", 200), hosted_base(0, "minimal-ubuntu", 1)}, 101);
    const auto all = store::usable_templates(c, world.team);
    REQUIRE(all.size() == 2);
    CHECK(all[1].size_bytes == 200);
    CHECK(all[1].created_at == UnixTime{60});
    CHECK(all[1].hosts == std::vector<model::HostId>{world.host.id});
    // The same name under another id, and one that is gone.
    follow(c, world, {hosted_base(5, "minimal-debian", 300)}, 102);
    CHECK(usable_names(c, world) == Names{"minimal-debian"});
    CHECK(store::usable_templates(c, world.team)[0].id == model::TemplateId::from_number(5));
    follow(c, world, {}, 103);
    CHECK(usable_names(c, world).empty());
  });
}

TEST_CASE("a snapshot: begun, finished, overwritten, deleted for good", "[engine]") {
  World world;
  auto told = hosted_snapshot(world, "mine");
  auto row = told.row;
  world.write([&](Connection& c) {
    row.making_until = UnixTime{500};
    store::begin_snapshot(c, row);
    CHECK(usable_names(c, world).empty());
    const auto begun = store::templates_named(c, world.team, "mine");
    REQUIRE(begun.size() == 1);
    CHECK(begun[0].making_until == UnixTime{500});
    CHECK(store::templates_named(c, model::TeamId::random(), "mine").empty());
  });
  auto rival = row;
  rival.id = model::TemplateId::random();
  CHECK_THROWS_AS(world.write([&](Connection& c) { store::begin_snapshot(c, rival); }), Error);
  world.write([&](Connection& c) {
    row.memory_mb = 512;
    row.created_at = UnixTime{200};
    CHECK(store::finish_snapshot(c, row, world.host.id, "g1"));
    auto usable = store::usable_templates(c, world.team);
    REQUIRE(usable.size() == 1);
    CHECK(usable[0].memory_mb == 512);
    CHECK_FALSE(usable[0].making_until);
    CHECK(usable[0].hosts == std::vector<model::HostId>{world.host.id});
    CHECK(store::usable_templates(c, model::TeamId::random()).empty());

    row.created_at = UnixTime{300};
    CHECK(store::finish_snapshot(c, row, world.host.id, "g2"));
    CHECK(store::usable_templates(c, world.team).size() == 1);

    store::forget_template(c, row, UnixTime{400});
    CHECK(store::templates_named(c, world.team, "mine").empty());
    CHECK_FALSE(store::finish_snapshot(c, row, world.host.id, "g3"));
    // The host still has it: it is deleted there, not taken up.
    const auto followed = follow(c, world, {told}, 500);
    REQUIRE(followed.deleted.size() == 1);
    CHECK(followed.deleted[0].row.id == row.id);
    CHECK(followed.adopted.empty());
    CHECK(usable_names(c, world).empty());
  });
}

TEST_CASE("an answer that is older than a snapshot says nothing of it", "[engine]") {
  World world;
  auto row = hosted_snapshot(world, "mine").row;
  world.write([&](Connection& c) {
    row.created_at = UnixTime{200};
    store::begin_snapshot(c, row);
    CHECK(store::finish_snapshot(c, row, world.host.id, "g2"));
    // Asked at 200, when it was made: the host had not, or had the generation before.
    CHECK(follow(c, world, {}, 201).deleted.empty());
    CHECK(usable_names(c, world) == Names{"mine"});
    auto before = hosted_snapshot(world, "mine");
    before.row.id = row.id;
    before.row.memory_mb = 128;
    follow(c, world, {before}, 201);
    CHECK(store::usable_templates(c, world.team)[0].memory_mb == 256);
    // Asked later, its word counts: the files are away, and come back.
    follow(c, world, {}, 202);
    CHECK(usable_names(c, world).empty());
    CHECK(store::templates_named(c, world.team, "mine").size() == 1);
    follow(c, world, {before}, 203);
    CHECK(usable_names(c, world) == Names{"mine"});
    CHECK(store::usable_templates(c, world.team)[0].memory_mb == 128);
  });
}

TEST_CASE("a snapshot that was begun and given up", "[engine]") {
  World world;
  auto waits = hosted_snapshot(world, "waits"), late = hosted_snapshot(world, "late"),
       there = hosted_snapshot(world, "there");
  world.write([&](Connection& c) {
    for (auto* one : {&waits, &late, &there}) {
      one->row.making_until = UnixTime{one == &waits ? 1000 : 300};
      one->row.by = {model::Actor::Kind::api_key, "key-x", "k"};
      store::begin_snapshot(c, one->row);
    }
    CHECK(store::is_being_made(c, there.row.id));
    there.row.default_user = "dev";
    const auto followed = follow(c, world, {there}, 301);
    CHECK(followed.adopted.empty());
    CHECK(usable_names(c, world) == Names{"there"});  // the agent went on when its control plane died
    CHECK(store::usable_templates(c, world.team)[0].default_user == "dev");
    REQUIRE(followed.made.size() == 1);
    CHECK(followed.made[0].id == there.row.id);
    CHECK(followed.made[0].by.name == "k");
    REQUIRE(followed.abandoned.size() == 1);
    CHECK(followed.abandoned[0].id == late.row.id);
    CHECK_FALSE(store::is_being_made(c, there.row.id));
    CHECK_FALSE(store::is_being_made(c, late.row.id));
    CHECK(store::templates_named(c, world.team, "waits").size() == 1);
    CHECK(store::templates_named(c, world.team, "late").empty());
    const auto again = follow(c, world, {there, late}, 302);
    CHECK(again.deleted.size() == 1);
    CHECK(again.made.empty());
    CHECK(again.abandoned.empty());
  });
}

TEST_CASE("what only a host knows is taken up when nothing speaks against it", "[engine]") {
  World world;
  const auto mine = hosted_snapshot(world, "mine");
  auto again = hosted_snapshot(world, "mine"), nobodys = hosted_snapshot(world, "nobodys"),
       everybodys = hosted_snapshot(world, "everybodys");
  nobodys.row.team = model::TeamId::random();
  everybodys.row.team = model::kPlatformTeam;
  world.write([&](Connection& c) {
    const auto followed = follow(c, world, {mine, again, nobodys, everybodys}, 100);
    REQUIRE(followed.adopted.size() == 1);
    CHECK(followed.adopted[0].row.id == mine.row.id);
    CHECK(followed.refused.size() == 3);
    CHECK(followed.deleted.empty());
    CHECK(usable_names(c, world) == Names{"mine"});
    CHECK(follow(c, world, {mine}, 101).adopted.empty());  // it has a row now
    c.execute("UPDATE hosts SET team_id = $1", {world.team.text()});
    const auto other = hosted_snapshot(world, "other");
    CHECK(follow(c, world, {mine, other}, 102).adopted.size() == 1);
    // A host of one team says nothing about another's templates.
    c.execute("INSERT INTO teams (id, name, slug, created_at) VALUES ($1, 'x', 'x', 1)",
              {nobodys.row.team.text()});
    CHECK(follow(c, world, {mine, nobodys}, 103).refused.size() == 1);
    // Nor may it claim what is somebody else's.
    auto stolen = mine;
    stolen.row.team = nobodys.row.team;
    CHECK(follow(c, world, {stolen}, 104).refused.size() == 1);
    CHECK(usable_names(c, world).empty());
  });
}

TEST_CASE("may_adopt: each doubt is enough", "[engine]") {
  store::Template told;
  told.id = model::TemplateId::from_number(1025);
  told.team = model::TeamId::random();
  told.vcpus = 1;
  told.memory_mb = 256;
  store::Unknown good;
  good.team_exists = good.host_serves = true;
  CHECK(store::may_adopt(good, told));
  const auto with = [&](auto change) {
    auto unknown = good;
    auto one = told;
    change(unknown, one);
    return store::may_adopt(unknown, one);
  };
  CHECK_FALSE(with([](auto& u, auto&) { u.deleted = true; }));
  CHECK_FALSE(with([](auto& u, auto&) { u.name_taken = true; }));
  CHECK_FALSE(with([](auto& u, auto&) { u.team_exists = false; }));
  CHECK_FALSE(with([](auto& u, auto&) { u.host_serves = false; }));
  CHECK_FALSE(with([](auto&, auto& t) { t.id = model::TemplateId::from_number(1024); }));
  CHECK_FALSE(with([](auto&, auto& t) { t.team = model::kPlatformTeam; }));
  CHECK_FALSE(with([](auto&, auto& t) { t.vcpus = 0; }));
  CHECK_FALSE(with([](auto&, auto& t) { t.memory_mb = 0; }));
}

TEST_CASE("the first key is made once and kept while it is known", "[engine]") {
  World world;
  const auto first = bootstrap_dev(*world.database, "");
  CHECK(first.created);
  CHECK(service::parse_api_key(first.api_key.reveal()));
  CHECK(first.team == world.team);  // there was a team already
  const auto again = bootstrap_dev(*world.database, first.api_key.reveal());
  CHECK_FALSE(again.created);
  CHECK(again.api_key.reveal() == first.api_key.reveal());
  for (const std::string known : {"wrn_0123456789abcdef0123456789abcdef", "garbage", "wrn_"}) {
    const auto other = bootstrap_dev(*world.database, known);
    CHECK(other.created);
    CHECK(other.api_key.reveal() != first.api_key.reveal());
    CHECK(other.team == first.team);
  }
  // What the database holds does not let anybody in.
  world.write([&](Connection& c) {
    c.query("SELECT key_hash, key_prefix FROM team_api_keys", {}, [&](const db::Row& row) {
      CHECK(row.text(0).size() == 64);
      CHECK(row.text(0).find("wrn_") == std::string_view::npos);
      CHECK(row.text(1).size() == 10);
    });
    CHECK(store::find_api_key(c, service::hash_secret(first.api_key.reveal())));
    CHECK_FALSE(store::find_api_key(c, first.api_key.reveal()));
    c.execute("UPDATE teams SET deleted_at = 1 WHERE id = $1", {world.team.text()});
    CHECK_FALSE(store::find_api_key(c, service::hash_secret(first.api_key.reveal())));
  });
}

TEST_CASE("an empty database gets a team with the key", "[engine]") {
  const TestDatabase place;
  const auto database = place.open();
  store::migrate(*database);
  const auto credentials = bootstrap_dev(*database, "");
  CHECK(credentials.created);
  CHECK(credentials.team != model::kPlatformTeam);
}
