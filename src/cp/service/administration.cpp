#include "cp/service/administration.h"

#include "core/base/error.h"
#include "cp/limits.h"
#include "cp/service/accounts.h"
#include "cp/service/audit.h"
#include "cp/service/credentials.h"
#include "cp/service/teams.h"
#include "cp/store/api_keys.h"
#include "cp/store/sessions.h"

namespace wrenn::cp::service {

using model::kPlatformTeam;
using store::User;
using store::UserStatus;

static User require_user(std::optional<User> user) {
  if (!user || user->status == UserStatus::deleted) throw_error(ErrorCode::not_found, "user not found");
  return std::move(*user);
}

static store::Team require_team(db::Connection& connection, const model::TeamId& id) {
  auto team = store::find_team(connection, id);
  if (!team || team->deleted_at || id == kPlatformTeam) throw_error(ErrorCode::not_found, "team not found");
  return std::move(*team);
}

// `rows` reads those of an offset and a limit, and sets how many there are in all.
template <typename Row>
static Task<Page<Row>> read_page(db::Database& database, std::int64_t number,
                                 std::vector<Row> (*rows)(db::Connection&, std::int64_t, std::int64_t,
                                                          std::int64_t&)) {
  Page<Row> page;
  page.number = number;
  auto read = [&](db::Connection& connection) {
    return rows(connection, (number - 1) * limits::kAdminPageRows, limits::kAdminPageRows, page.total);
  };
  page.rows = co_await database.read(read);
  co_return page;
}

Task<Page<store::TeamSummary>> Administration::teams(std::int64_t page) {
  return read_page(database_, page, store::teams_page);
}

Task<Page<store::UserSummary>> Administration::users(std::int64_t page) {
  return read_page(database_, page, store::users_page);
}

Task<> Administration::set_byoc(Caller caller, model::TeamId team) {
  auto write = [&](db::Connection& connection) {
    if (require_team(connection, team).is_byoc) return;
    store::set_team_byoc(connection, team);
    audit::write(connection, audit::kTeamSetByoc, kPlatformTeam, caller.actor, team.text(),
                 {{"enabled", "true"}});
  };
  co_await database_.write(write);
}

Task<> Administration::remove_team(Caller caller, model::TeamId team) {
  auto write = [&](db::Connection& connection) {
    require_team(connection, team);
    audit::write(connection, audit::kTeamDelete, kPlatformTeam, caller.actor, team.text());
    end_team(connection, team, now());
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<> Administration::set_active(Caller caller, model::UserId id, bool active) {
  if (!active && caller.user == id)
    throw_error(ErrorCode::invalid_argument, "you cannot disable your own account");
  auto write = [&](db::Connection& connection) {
    const auto user = require_user(store::find_user(connection, id));
    const auto wanted = active ? UserStatus::active : UserStatus::disabled;
    if (user.status == wanted) return;
    const auto at = now();
    store::set_user_status(connection, id, wanted, at);
    if (active) {
      ensure_default_team(connection, user, at);
    } else {
      store::erase_sessions_of(connection, id);
      store::erase_api_keys_by(connection, id);
      announce_revocation(connection);
    }
    audit::write(connection, active ? audit::kUserActivate : audit::kUserDeactivate, kPlatformTeam,
                 caller.actor, id.text(), {{"email", user.email}});
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<> Administration::set_admin(Caller caller, model::UserId id, bool admin) {
  auto write = [&](db::Connection& connection) {
    const auto user = require_user(store::find_user(connection, id));
    if (user.is_admin == admin) return;
    if (!admin && user.status == UserStatus::active && store::count_active_admins(connection) <= 1)
      throw_error(ErrorCode::invalid_argument, "cannot remove the last admin");
    store::set_user_admin(connection, id, admin, now());
    audit::write(connection, admin ? audit::kUserGrantAdmin : audit::kUserRevokeAdmin, kPlatformTeam,
                 caller.actor, id.text(), {{"email", user.email}});
    announce_revocation(connection);
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

namespace on_database {

static User find(db::Connection& connection, const std::string& email) {
  auto user = store::find_user(connection, email);
  if (!user)
    throw_error(ErrorCode::not_found, "there is no account {}; wrenn admin create-user makes one", email);
  return std::move(*user);
}

User grant_admin(db::Connection& connection, const std::string& email) {
  auto user = find(connection, email);
  store::set_user_admin(connection, user.id, true, now());
  audit::write(connection, audit::kUserGrantAdmin, kPlatformTeam, {}, user.id.text(),
               {{"email", user.email}});
  announce_revocation(connection);
  return user;
}

User activate(db::Connection& connection, const std::string& email) {
  auto user = find(connection, email);
  const auto at = now();
  store::set_user_status(connection, user.id, UserStatus::active, at);
  ensure_default_team(connection, user, at);
  audit::write(connection, audit::kUserActivate, kPlatformTeam, {}, user.id.text(), {{"email", user.email}});
  return user;
}

}  // namespace on_database

}  // namespace wrenn::cp::service
