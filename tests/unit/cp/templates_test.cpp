#include <algorithm>
#include <catch2/catch.hpp>

#include "cp/service/snapshots.h"
#include "cp/service/templates.h"

using namespace wrenn;
using cp::service::choose_template;
using cp::service::judge_snapshot_name;
using cp::service::SnapshotName;
using cp::store::Template;

namespace {

Template base(std::uint64_t id, std::string name) {
  Template one;
  one.id = model::TemplateId::from_number(id);
  one.name = std::move(name);
  one.type = "base";
  return one;
}
Template own(std::string name, std::string type) {
  Template one;
  one.id = model::TemplateId::random();
  one.team = model::TeamId::random();
  one.name = std::move(name);
  one.type = std::move(type);
  return one;
}
std::string chosen(const std::vector<Template>& all, std::string_view name) {
  const auto* one = choose_template(all, name);
  return one == nullptr ? "(none)" : one->name;
}

}  // namespace

TEST_CASE("the default template") {
  const auto ubuntu = base(0, "minimal-ubuntu"), alpine = base(1, "minimal-alpine"),
             debian = base(4, "minimal-debian");
  for (const std::string_view name : {"", "minimal"}) {
    CHECK(chosen({}, name) == "(none)");
    CHECK(chosen({debian}, name) == "minimal-debian");
    CHECK(chosen({debian, ubuntu, alpine}, name) == "minimal-ubuntu");
    CHECK(chosen({debian, alpine}, name) == "minimal-alpine");
    // Neither a snapshot nor what a team made becomes a default unasked.
    CHECK(chosen({own("mine", "base"), own("snap", "snapshot"), debian}, name) == "minimal-debian");
    CHECK(chosen({own("mine", "base")}, name) == "(none)");
  }
}

TEST_CASE("the order of rows does not matter") {
  std::vector<Template> all{base(4, "minimal-debian"), base(2, "minimal-arch"), base(3, "minimal-fedora")};
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  do {
    CHECK(chosen(all, "") == "minimal-arch");
  } while (std::next_permutation(all.begin(), all.end(),
                                 [](const auto& a, const auto& b) { return a.name < b.name; }));
}

TEST_CASE("a template by its name") {
  const auto debian = base(4, "minimal-debian");
  CHECK(chosen({debian}, "minimal-debian") == "minimal-debian");
  CHECK(chosen({debian}, "minimal-ubuntu") == "(none)");
  CHECK(chosen({debian}, "Minimal-Debian") == "(none)");
  CHECK(chosen({debian, own("snap", "snapshot")}, "snap") == "snap");
  // Somebody's own template called "minimal" is what he means by it.
  CHECK(chosen({debian, own("minimal", "snapshot")}, "minimal") == "minimal");
  CHECK(chosen({debian, own("minimal", "snapshot")}, "") == "minimal-debian");
}

TEST_CASE("a team's own template goes before the platform's of the same name") {
  auto system = base(4, "tools");
  const auto mine = own("tools", "snapshot");
  for (const auto& all : {std::vector<Template>{system, mine}, std::vector<Template>{mine, system}}) {
    const auto* one = choose_template(all, "tools");
    REQUIRE(one != nullptr);
    CHECK(one->id == mine.id);
  }
}

TEST_CASE("what a snapshot of a name would be") {
  constexpr UnixTime kAt{1000};
  const auto system = base(4, "x");
  const auto snap = own("x", "snapshot"), built = own("x", "base");
  const auto team = snap.team;
  auto making = snap, given_up = snap;
  making.making_until = UnixTime{1001};
  given_up.making_until = UnixTime{999};
  struct Row {
    std::vector<Template> same_name;
    SnapshotName plain, overwriting;
  };
  using enum SnapshotName;
  const Row rows[] = {{{}, fresh, fresh},
                      {{snap}, taken, replace},
                      {{built}, taken, taken},
                      {{system}, reserved, reserved},
                      {{snap, system}, reserved, reserved},
                      {{making}, busy, busy},
                      {{given_up}, abandoned, abandoned}};
  for (const auto& row : rows) {
    CHECK(judge_snapshot_name(row.same_name, team, false, kAt) == row.plain);
    CHECK(judge_snapshot_name(row.same_name, team, true, kAt) == row.overwriting);
  }
  // The platform's snapshots are its own to replace, and nobody else's; the images that hosts bring are not.
  auto platform = snap;
  platform.team = model::kPlatformTeam;
  CHECK(judge_snapshot_name({platform}, team, true, kAt) == reserved);
  CHECK(judge_snapshot_name({platform}, model::kPlatformTeam, true, kAt) == replace);
  CHECK(judge_snapshot_name({platform}, model::kPlatformTeam, false, kAt) == taken);
  CHECK(judge_snapshot_name({system}, model::kPlatformTeam, true, kAt) == reserved);
}
