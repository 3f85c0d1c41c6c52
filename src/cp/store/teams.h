// Teams and who belongs to them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"
#include "model/role.h"

namespace wrenn::cp::store {

struct Team {
  model::TeamId id;
  std::string name;
  std::string slug;  // "xxxxxx-yyyyyy"
  UnixTime created_at;
  bool is_byoc = false;
  std::optional<UnixTime> deleted_at;
};

// All throw as db::Connection::query().

void insert_team(db::Connection& connection, const Team& team);
// The platform team, which owns the system templates; made unless it is there.
void ensure_platform_team(db::Connection& connection, UnixTime at);
// Deleted ones too.
std::optional<Team> find_team(db::Connection& connection, const model::TeamId& id);
// The oldest team that is neither deleted nor the platform's.
std::optional<Team> first_team(db::Connection& connection);
void set_team_name(db::Connection& connection, const model::TeamId& id, std::string_view name);
void set_team_byoc(db::Connection& connection, const model::TeamId& id);
void set_team_deleted(db::Connection& connection, const model::TeamId& id, UnixTime at);

struct TeamSummary {
  Team team;
  std::int64_t members = 0, active_sandboxes = 0, channels = 0;
  std::string owner_name, owner_email;
};
// Without the platform's; deleted ones last, newest first. The number of all is in `total`.
std::vector<TeamSummary> teams_page(db::Connection& connection, std::int64_t offset, std::int64_t limit,
                                    std::int64_t& total);

// Throws Error(data_loss) for a word that is no role.
model::Role stored_role(std::string_view text);

struct Membership {
  model::UserId user;
  model::TeamId team;
  model::Role role = model::Role::member;
  bool is_default = false;
  UnixTime joined_at;
};
// Throws Error(already_exists) for a member.
void insert_membership(db::Connection& connection, const Membership& membership);
std::optional<Membership> find_membership(db::Connection& connection, const model::TeamId& team,
                                          const model::UserId& user);
void set_role(db::Connection& connection, const model::TeamId& team, const model::UserId& user,
              model::Role role);
void erase_membership(db::Connection& connection, const model::TeamId& team, const model::UserId& user);

struct Member {
  Membership membership;
  std::string name, email;
};
// By the time they joined.
std::vector<Member> members_of(db::Connection& connection, const model::TeamId& team);

struct JoinedTeam {
  Team team;
  model::Role role = model::Role::member;
  bool is_default = false;
};
// Without deleted teams, by the time he joined them.
std::vector<JoinedTeam> teams_of(db::Connection& connection, const model::UserId& user);
// The one he has chosen, or the first that he joined.
std::optional<JoinedTeam> default_team_of(db::Connection& connection, const model::UserId& user);

}  // namespace wrenn::cp::store
