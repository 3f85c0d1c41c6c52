#include "cp/service/teams.h"

#include "core/base/error.h"
#include "cp/service/account_rules.h"
#include "cp/service/accounts.h"
#include "cp/service/audit.h"
#include "cp/service/credentials.h"
#include "cp/store/api_keys.h"
#include "cp/store/channels.h"
#include "cp/store/sessions.h"
#include "cp/store/users.h"

namespace wrenn::cp::service {

using model::Role;
using model::TeamId;
using model::UserId;

void end_team(db::Connection& connection, const TeamId& team, UnixTime at) {
  store::set_team_deleted(connection, team, at);
  store::erase_api_keys_of_team(connection, team);
  store::erase_sessions_in(connection, team);
  for (const auto& channel : store::channels_of(connection, team))
    store::delete_channel(connection, team, channel.id);
  announce_revocation(connection);
}

void end_membership(db::Connection& connection, const TeamId& team, const UserId& user) {
  store::erase_membership(connection, team, user);
  store::erase_sessions_in(connection, team, user);
  store::erase_api_keys_by(connection, user, team);
  announce_revocation(connection);
}

void require_role(const Caller& caller, Role least) {
  if (caller.role < least)
    throw_error(ErrorCode::permission_denied, "this needs the role {} in the team; yours is {}",
                to_string(least), to_string(caller.role));
}

static void require_active(const Caller& caller, const TeamId& team) {
  if (caller.team != team)
    throw_error(ErrorCode::permission_denied,
                "this is not the active team of your session; use POST /v1/auth/switch-team first");
}

// The member, in the transaction that changes him.
static store::Membership find_member(db::Connection& connection, const TeamId& team, const UserId& user) {
  auto member = store::find_membership(connection, team, user);
  if (!member) throw_error(ErrorCode::not_found, "the team has no such member");
  return std::move(*member);
}

Task<std::vector<store::JoinedTeam>> Teams::list(Caller caller) {
  auto read = [&](db::Connection& connection) { return store::teams_of(connection, *caller.user); };
  co_return co_await database_.read(read);
}

Task<store::JoinedTeam> Teams::create(Caller caller, std::string name) {
  store::JoinedTeam joined;
  joined.team = {TeamId::random(), admit_team_name(name), new_team_slug(), now(), false, {}};
  joined.role = Role::owner;
  auto write = [&](db::Connection& connection) {
    const auto& team = joined.team;
    store::insert_team(connection, team);
    store::insert_membership(connection, {*caller.user, team.id, Role::owner, false, team.created_at});
    audit::write(connection, audit::kTeamCreate, team.id, caller.actor, team.id.text(),
                 {{"name", team.name}});
  };
  co_await database_.write(write);
  post_.send(team_created_letter({caller.actor.name, caller.user_name}, joined.team.name));
  co_return joined;
}

Task<Teams::Detail> Teams::get(Caller caller, TeamId team) {
  require_active(caller, team);
  auto read = [&](db::Connection& connection) {
    auto row = store::find_team(connection, team);
    if (!row) throw_error(ErrorCode::not_found, "team not found");
    return Detail{std::move(*row), store::members_of(connection, team)};
  };
  co_return co_await database_.read(read);
}

Task<> Teams::rename(Caller caller, TeamId team, std::string name) {
  require_active(caller, team);
  require_role(caller, Role::admin);
  const auto admitted = admit_team_name(name);
  auto write = [&](db::Connection& connection) {
    const auto row = store::find_team(connection, team);
    if (!row || row->name == admitted) return;
    store::set_team_name(connection, team, admitted);
    audit::write(connection, audit::kTeamRename, team, caller.actor, team.text(),
                 {{"old_name", row->name}, {"new_name", admitted}});
  };
  co_await database_.write(write);
}

Task<> Teams::remove(Caller caller, TeamId team) {
  require_active(caller, team);
  require_role(caller, Role::owner);
  auto write = [&](db::Connection& connection) {
    audit::write(connection, audit::kTeamDelete, team, caller.actor, team.text());
    end_team(connection, team, now());
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<store::Member> Teams::add_member(Caller caller, TeamId team, std::string email) {
  require_active(caller, team);
  require_role(caller, Role::admin);
  const auto address = admit_email(email);
  store::Member member;
  std::string team_name;
  auto write = [&](db::Connection& connection) {
    const auto user = store::find_user(connection, address);
    if (!user || user->status != store::UserStatus::active)
      throw_error(ErrorCode::not_found, "there is no account with this email; its owner must sign up first");
    if (store::find_membership(connection, team, user->id))
      throw_error(ErrorCode::invalid_argument, "{} is a member of the team already", address);
    member = {{user->id, team, Role::member, false, now()}, user->name, user->email};
    store::insert_membership(connection, member.membership);
    audit::write(connection, audit::kMemberAdd, team, caller.actor, user->id.text(),
                 {{"email", user->email}, {"role", std::string(to_string(Role::member))}});
    if (const auto row = store::find_team(connection, team)) team_name = row->name;
  };
  co_await database_.write(write);
  post_.send(member_added_letter({member.email, member.name}, team_name, caller.actor.name, app_url_));
  co_return member;
}

Task<> Teams::set_role(Caller caller, TeamId team, UserId user, std::string role) {
  require_active(caller, team);
  require_role(caller, Role::admin);
  const auto wanted = from_string(role, static_cast<Role*>(nullptr));
  if (!wanted || *wanted == Role::owner)
    throw_error(ErrorCode::invalid_argument, "role must be \"admin\" or \"member\"");
  auto write = [&](db::Connection& connection) {
    const auto member = find_member(connection, team, user);
    if (member.role == Role::owner)
      throw_error(ErrorCode::permission_denied, "the owner of a team keeps his role");
    if (member.role == *wanted) return;
    store::set_role(connection, team, user, *wanted);
    audit::write(connection, audit::kMemberRole, team, caller.actor, user.text(), {{"new_role", role}});
    announce_revocation(connection);
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<> Teams::remove_member(Caller caller, TeamId team, UserId user) {
  require_active(caller, team);
  require_role(caller, Role::admin);
  auto write = [&](db::Connection& connection) {
    const auto member = find_member(connection, team, user);
    if (member.role == Role::owner)
      throw_error(ErrorCode::permission_denied,
                  "the owner of a team cannot be removed; delete the team instead");
    end_membership(connection, team, user);
    audit::write(connection, audit::kMemberRemove, team, caller.actor, user.text());
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<> Teams::leave(Caller caller, TeamId team) {
  require_active(caller, team);
  if (caller.role == Role::owner)
    throw_error(ErrorCode::permission_denied, "the owner of a team cannot leave it; delete the team instead");
  auto write = [&](db::Connection& connection) {
    find_member(connection, team, *caller.user);
    const auto user = store::find_user(connection, *caller.user);
    if (!user) return;
    store::erase_membership(connection, team, user->id);
    // He goes on in a team of his own: leaving is no reason to be signed out.
    const auto other = ensure_default_team(connection, *user, now());
    store::set_session_team(connection, caller.credential_hash, other);
    end_membership(connection, team, user->id);
    audit::write(connection, audit::kMemberLeave, team, caller.actor, user->id.text());
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

}  // namespace wrenn::cp::service
