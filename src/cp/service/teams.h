// Teams and their members. Every call works on the active team of the caller's session.
#pragma once

#include <string>
#include <vector>

#include "core/async/task.h"
#include "core/db/database.h"
#include "cp/service/caller.h"
#include "cp/service/post.h"
#include "cp/store/teams.h"

namespace wrenn::cp::service {

using async::Task;

class Credentials;

// The team is gone for everybody: its keys are revoked, its sessions ended, its channels deleted. What else
// it had, capsules and templates, is taken away by worker/housekeeping.
void end_team(db::Connection& connection, const model::TeamId& team, UnixTime at);

// What of a user is in a team that he leaves: his keys there are revoked, his sessions there ended.
void end_membership(db::Connection& connection, const model::TeamId& team, const model::UserId& user);

// Throws Error(permission_denied) unless the caller's role in the team is `least` or more.
void require_role(const Caller& caller, model::Role least);

class Teams {
 public:
  // All must outlive this. `app_url`: where links in mails lead.
  Teams(db::Database& database, Credentials& credentials, Post& post, std::string app_url)
      : database_(database), credentials_(credentials), post_(post), app_url_(std::move(app_url)) {}

  // The user's teams.
  Task<std::vector<store::JoinedTeam>> list(Caller caller);
  Task<store::JoinedTeam> create(Caller caller, std::string name);

  // All below throw Error(permission_denied) when `team` is not the active one, or the caller's role does not
  // suffice.
  struct Detail {
    store::Team team;
    std::vector<store::Member> members;
  };
  Task<Detail> get(Caller caller, model::TeamId team);
  Task<> rename(Caller caller, model::TeamId team, std::string name);
  Task<> remove(Caller caller, model::TeamId team);
  // Throws Error(not_found) for an unknown address, Error(invalid_argument) for a member.
  Task<store::Member> add_member(Caller caller, model::TeamId team, std::string email);
  // Throw Error(not_found); the owner's role stays, and he cannot be removed.
  Task<> set_role(Caller caller, model::TeamId team, model::UserId user, std::string role);
  Task<> remove_member(Caller caller, model::TeamId team, model::UserId user);
  Task<> leave(Caller caller, model::TeamId team);

 private:
  db::Database& database_;
  Credentials& credentials_;
  Post& post_;
  const std::string app_url_;
};

}  // namespace wrenn::cp::service
