#include "cp/store/teams.h"

#include <fmt/format.h>

#include "cp/store/channels.h"
#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kTeamColumns =
    "t.id, t.name, t.slug, t.created_at, t.is_byoc, t.deleted_at";

static Team read_team(const db::Row& row) {
  return {stored_id<model::TeamId>(row.text(0)),
          std::string(row.text(1)),
          std::string(row.text(2)),
          UnixTime{row.integer(3)},
          row.integer(4) != 0,
          optional_time(row, 5)};
}

static std::optional<Team> query_team(db::Connection& connection, std::string_view rest,
                                      const std::vector<db::Param>& params) {
  std::optional<Team> team;
  const auto sql = fmt::format("SELECT {} FROM teams t {}", kTeamColumns, rest);
  connection.query(sql, params, [&](const db::Row& row) { team = read_team(row); });
  return team;
}

void insert_team(db::Connection& connection, const Team& team) {
  connection.execute("INSERT INTO teams (id, name, slug, is_byoc, created_at) VALUES ($1, $2, $3, $4, $5)",
                     {team.id.text(), team.name, team.slug, team.is_byoc, team.created_at.us});
}

void ensure_platform_team(db::Connection& connection, UnixTime at) {
  connection.execute(
      "INSERT INTO teams (id, name, slug, created_at) VALUES ($1, 'Platform', 'platform', $2) ON CONFLICT DO "
      "NOTHING",
      {model::kPlatformTeam.text(), at.us});
}

std::optional<Team> find_team(db::Connection& connection, const model::TeamId& id) {
  return query_team(connection, "WHERE t.id = $1", {id.text()});
}

std::optional<Team> first_team(db::Connection& connection) {
  return query_team(connection,
                    "WHERE t.deleted_at IS NULL AND t.id <> $1 ORDER BY t.created_at, t.id LIMIT 1",
                    {model::kPlatformTeam.text()});
}

void set_team_name(db::Connection& connection, const model::TeamId& id, std::string_view name) {
  connection.execute("UPDATE teams SET name = $2 WHERE id = $1", {id.text(), name});
}

void set_team_byoc(db::Connection& connection, const model::TeamId& id) {
  connection.execute("UPDATE teams SET is_byoc = 1 WHERE id = $1", {id.text()});
}

void set_team_deleted(db::Connection& connection, const model::TeamId& id, UnixTime at) {
  connection.execute("UPDATE teams SET deleted_at = $2 WHERE id = $1", {id.text(), at.us});
}

std::vector<TeamSummary> teams_page(db::Connection& connection, std::int64_t offset, std::int64_t limit,
                                    std::int64_t& total) {
  const auto platform = model::kPlatformTeam.text();
  total = count(connection, "SELECT COUNT(*) FROM teams WHERE id <> $1", {platform});
  std::vector<TeamSummary> teams;
  const auto sql = fmt::format(
      "SELECT {} FROM teams t WHERE t.id <> $1 "
      "ORDER BY CASE WHEN t.deleted_at IS NULL THEN 0 ELSE 1 END, t.created_at DESC, t.id LIMIT $2 OFFSET $3",
      kTeamColumns);
  connection.query(sql, {platform, limit, offset},
                   [&](const db::Row& row) { teams.push_back({read_team(row), 0, 0, 0, {}, {}}); });
  for (auto& one : teams) {
    const auto id = one.team.id.text();
    one.members = count(connection, "SELECT COUNT(*) FROM users_teams WHERE team_id = $1", {id});
    one.active_sandboxes = count(
        connection,
        "SELECT COUNT(*) FROM sandboxes WHERE team_id = $1 AND status NOT IN ('stopped', 'error')", {id});
    one.channels = count_channels(connection, one.team.id);
    connection.query(
        "SELECT u.name, u.email FROM users_teams m JOIN users u ON u.id = m.user_id "
        "WHERE m.team_id = $1 AND m.role = 'owner'",
        {id}, [&](const db::Row& row) {
          one.owner_name = row.text(0);
          one.owner_email = row.text(1);
        });
  }
  return teams;
}

// --- members
// --------------------------------------------------------------------------------------------------------

model::Role stored_role(std::string_view text) {
  const auto role = from_string(text, static_cast<model::Role*>(nullptr));
  if (!role) throw_error(ErrorCode::data_loss, "the database holds the unknown role \"{}\"", text);
  return *role;
}

void insert_membership(db::Connection& connection, const Membership& membership) {
  connection.execute(
      "INSERT INTO users_teams (user_id, team_id, is_default, role, created_at) VALUES ($1, $2, $3, $4, $5)",
      {membership.user.text(), membership.team.text(), membership.is_default, to_string(membership.role),
       membership.joined_at.us});
}

static constexpr std::string_view kMembershipColumns =
    "m.user_id, m.team_id, m.role, m.is_default, m.created_at";

static Membership read_membership(const db::Row& row) {
  return {stored_id<model::UserId>(row.text(0)), stored_id<model::TeamId>(row.text(1)),
          stored_role(row.text(2)), row.integer(3) != 0, UnixTime{row.integer(4)}};
}

std::optional<Membership> find_membership(db::Connection& connection, const model::TeamId& team,
                                          const model::UserId& user) {
  static const std::string kFind =
      fmt::format("SELECT {} FROM users_teams m WHERE m.team_id = $1 AND m.user_id = $2", kMembershipColumns);
  std::optional<Membership> membership;
  connection.query(kFind, {team.text(), user.text()},
                   [&](const db::Row& row) { membership = read_membership(row); });
  return membership;
}

void set_role(db::Connection& connection, const model::TeamId& team, const model::UserId& user,
              model::Role role) {
  connection.execute("UPDATE users_teams SET role = $3 WHERE team_id = $1 AND user_id = $2",
                     {team.text(), user.text(), to_string(role)});
}

void erase_membership(db::Connection& connection, const model::TeamId& team, const model::UserId& user) {
  connection.execute("DELETE FROM users_teams WHERE team_id = $1 AND user_id = $2",
                     {team.text(), user.text()});
}

std::vector<Member> members_of(db::Connection& connection, const model::TeamId& team) {
  static const std::string kMembers = fmt::format(
      "SELECT {}, u.name, u.email FROM users_teams m JOIN users u ON u.id = m.user_id "
      "WHERE m.team_id = $1 AND u.status <> 'deleted' ORDER BY m.created_at, m.user_id",
      kMembershipColumns);
  std::vector<Member> members;
  connection.query(kMembers, {team.text()}, [&](const db::Row& row) {
    members.push_back({read_membership(row), std::string(row.text(5)), std::string(row.text(6))});
  });
  return members;
}

std::vector<JoinedTeam> teams_of(db::Connection& connection, const model::UserId& user) {
  static const std::string kTeams = fmt::format(
      "SELECT {}, m.role, m.is_default FROM users_teams m JOIN teams t ON t.id = m.team_id "
      "WHERE m.user_id = $1 AND t.deleted_at IS NULL ORDER BY m.created_at, t.id",
      kTeamColumns);
  std::vector<JoinedTeam> teams;
  connection.query(kTeams, {user.text()}, [&](const db::Row& row) {
    teams.push_back({read_team(row), stored_role(row.text(6)), row.integer(7) != 0});
  });
  return teams;
}

std::optional<JoinedTeam> default_team_of(db::Connection& connection, const model::UserId& user) {
  auto teams = teams_of(connection, user);
  if (teams.empty()) return std::nullopt;
  for (auto& one : teams)
    if (one.is_default) return std::move(one);
  return std::move(teams.front());
}

}  // namespace wrenn::cp::store
