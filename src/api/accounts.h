// Bodies of the API for people: accounts, teams, keys, the audit log, administration (spec/rest-api.md §2–§4,
// §11, §12).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json/fields.h"

namespace wrenn::api {

struct SignUp {
  std::string email, password, name;
  static constexpr auto kFields = json::fields(json::field("email", &SignUp::email, json::kRequired),
                                               json::field("password", &SignUp::password, json::kRequired),
                                               json::field("name", &SignUp::name, json::kRequired));
};
struct LogIn {
  std::string email, password;
  static constexpr auto kFields =
      json::fields(json::field("email", &LogIn::email), json::field("password", &LogIn::password));
};
struct OneToken {
  std::string token;
  static constexpr auto kFields = json::fields(json::field("token", &OneToken::token));
};
struct Message {
  std::string message;
  static constexpr auto kFields = json::fields(json::field("message", &Message::message));
};
struct Auth {
  std::string token;  // of the session: for Authorization: Bearer
  std::string user_id, team_id, email, name;
  static constexpr auto kFields =
      json::fields(json::field("token", &Auth::token), json::field("user_id", &Auth::user_id),
                   json::field("team_id", &Auth::team_id), json::field("email", &Auth::email),
                   json::field("name", &Auth::name));
};
struct SwitchTeam {
  std::string team_id;
  static constexpr auto kFields = json::fields(json::field("team_id", &SwitchTeam::team_id));
};
struct RequestReset {
  std::string email;
  static constexpr auto kFields = json::fields(json::field("email", &RequestReset::email));
};
struct ConfirmReset {
  std::string token, new_password;
  static constexpr auto kFields = json::fields(json::field("token", &ConfirmReset::token),
                                               json::field("new_password", &ConfirmReset::new_password));
};

struct Me {
  std::string user_id, name, email;
  bool has_password = false;
  std::vector<std::string> providers;
  bool is_admin = false;
  std::string team_id, role;  // of the session
  static constexpr auto kFields =
      json::fields(json::field("user_id", &Me::user_id), json::field("name", &Me::name),
                   json::field("email", &Me::email), json::field("has_password", &Me::has_password),
                   json::field("providers", &Me::providers), json::field("is_admin", &Me::is_admin),
                   json::field("team_id", &Me::team_id), json::field("role", &Me::role));
};
struct NameOnly {
  std::string name;
  static constexpr auto kFields = json::fields(json::field("name", &NameOnly::name));
};
struct ChangePassword {
  std::string current_password, new_password, confirm_password;
  static constexpr auto kFields =
      json::fields(json::field("current_password", &ChangePassword::current_password),
                   json::field("new_password", &ChangePassword::new_password),
                   json::field("confirm_password", &ChangePassword::confirm_password));
};
struct AuthUrl {
  std::string auth_url;
  static constexpr auto kFields = json::fields(json::field("auth_url", &AuthUrl::auth_url));
};
struct Confirmation {
  std::string confirmation;
  static constexpr auto kFields = json::fields(json::field("confirmation", &Confirmation::confirmation));
};

struct Team {
  std::string id, name, slug;
  bool is_byoc = false;
  std::string created_at;
  std::string role;  // the caller's; only where his teams are listed
  static constexpr auto kFields = json::fields(
      json::field("id", &Team::id), json::field("name", &Team::name), json::field("slug", &Team::slug),
      json::field("is_byoc", &Team::is_byoc), json::field("created_at", &Team::created_at),
      json::field("role", &Team::role, json::kOmitEmpty));
};
struct Member {
  std::string user_id, name, email, role, joined_at;
  static constexpr auto kFields =
      json::fields(json::field("user_id", &Member::user_id), json::field("name", &Member::name),
                   json::field("email", &Member::email), json::field("role", &Member::role),
                   json::field("joined_at", &Member::joined_at));
};
struct TeamDetail {
  Team team;
  std::vector<Member> members;
  static constexpr auto kFields =
      json::fields(json::field("team", &TeamDetail::team), json::field("members", &TeamDetail::members));
};
struct AddMember {
  std::string email;
  static constexpr auto kFields = json::fields(json::field("email", &AddMember::email));
};
struct SetRole {
  std::string role;
  static constexpr auto kFields = json::fields(json::field("role", &SetRole::role));
};
struct FoundUser {
  std::string user_id, email;
  static constexpr auto kFields =
      json::fields(json::field("user_id", &FoundUser::user_id), json::field("email", &FoundUser::email));
};

struct ApiKey {
  std::string id, team_id, name, key_prefix;
  std::string created_by;  // "" when made by the program itself
  std::string creator_email;
  std::string created_at;
  std::optional<std::string> last_used;
  // Once, in the answer that made it: the key, and the same key in E2B's spelling.
  std::string key, e2b_key;
  static constexpr auto kFields = json::fields(
      json::field("id", &ApiKey::id), json::field("team_id", &ApiKey::team_id),
      json::field("name", &ApiKey::name), json::field("key_prefix", &ApiKey::key_prefix),
      json::field("created_by", &ApiKey::created_by),
      json::field("creator_email", &ApiKey::creator_email, json::kOmitEmpty),
      json::field("created_at", &ApiKey::created_at), json::field("last_used", &ApiKey::last_used),
      json::field("key", &ApiKey::key, json::kOmitEmpty),
      json::field("e2b_key", &ApiKey::e2b_key, json::kOmitEmpty));
};

struct AuditItem {
  std::string id, actor_type, actor_id, actor_name, resource_type, resource_id, action, scope, status;
  json::Raw metadata;
  std::string created_at;  // RFC 3339 with microseconds: it is the cursor
  static constexpr auto kFields =
      json::fields(json::field("id", &AuditItem::id), json::field("actor_type", &AuditItem::actor_type),
                   json::field("actor_id", &AuditItem::actor_id, json::kOmitEmpty),
                   json::field("actor_name", &AuditItem::actor_name, json::kOmitEmpty),
                   json::field("resource_type", &AuditItem::resource_type),
                   json::field("resource_id", &AuditItem::resource_id, json::kOmitEmpty),
                   json::field("action", &AuditItem::action), json::field("scope", &AuditItem::scope),
                   json::field("status", &AuditItem::status),
                   json::field("metadata", &AuditItem::metadata, json::kOmitEmpty),
                   json::field("created_at", &AuditItem::created_at));
};
struct AuditPage {
  std::vector<AuditItem> items;
  std::optional<std::string> next_before, next_before_id;  // absent on the last page
  static constexpr auto kFields = json::fields(json::field("items", &AuditPage::items),
                                               json::field("next_before", &AuditPage::next_before),
                                               json::field("next_before_id", &AuditPage::next_before_id));
};

struct AdminTeam {
  std::string id, name, slug;
  bool is_byoc = false;
  std::string created_at;
  json::Raw deleted_at;  // a time in quotes, or null
  std::int64_t member_count = 0;
  std::string owner_name, owner_email;
  std::int64_t active_sandbox_count = 0, channel_count = 0;
  static constexpr auto kFields = json::fields(
      json::field("id", &AdminTeam::id), json::field("name", &AdminTeam::name),
      json::field("slug", &AdminTeam::slug), json::field("is_byoc", &AdminTeam::is_byoc),
      json::field("created_at", &AdminTeam::created_at), json::field("deleted_at", &AdminTeam::deleted_at),
      json::field("member_count", &AdminTeam::member_count),
      json::field("owner_name", &AdminTeam::owner_name), json::field("owner_email", &AdminTeam::owner_email),
      json::field("active_sandbox_count", &AdminTeam::active_sandbox_count),
      json::field("channel_count", &AdminTeam::channel_count));
};
struct AdminTeams {
  std::vector<AdminTeam> teams;
  std::int64_t total = 0, page = 1, per_page = 0, total_pages = 0;
  static constexpr auto kFields =
      json::fields(json::field("teams", &AdminTeams::teams), json::field("total", &AdminTeams::total),
                   json::field("page", &AdminTeams::page), json::field("per_page", &AdminTeams::per_page),
                   json::field("total_pages", &AdminTeams::total_pages));
};
struct AdminUser {
  std::string id, email, name;
  bool is_admin = false;
  std::string status, created_at;
  std::int64_t teams_joined = 0, teams_owned = 0;
  static constexpr auto kFields = json::fields(
      json::field("id", &AdminUser::id), json::field("email", &AdminUser::email),
      json::field("name", &AdminUser::name), json::field("is_admin", &AdminUser::is_admin),
      json::field("status", &AdminUser::status), json::field("created_at", &AdminUser::created_at),
      json::field("teams_joined", &AdminUser::teams_joined),
      json::field("teams_owned", &AdminUser::teams_owned));
};
struct AdminUsers {
  std::vector<AdminUser> users;
  std::int64_t total = 0, page = 1, per_page = 0, total_pages = 0;
  static constexpr auto kFields =
      json::fields(json::field("users", &AdminUsers::users), json::field("total", &AdminUsers::total),
                   json::field("page", &AdminUsers::page), json::field("per_page", &AdminUsers::per_page),
                   json::field("total_pages", &AdminUsers::total_pages));
};
struct Enabled {
  bool enabled = false;
  static constexpr auto kFields = json::fields(json::field("enabled", &Enabled::enabled, json::kRequired));
};
struct Active {
  bool active = false;
  static constexpr auto kFields = json::fields(json::field("active", &Active::active, json::kRequired));
};
struct Admin {
  bool admin = false;
  static constexpr auto kFields = json::fields(json::field("admin", &Admin::admin, json::kRequired));
};

}  // namespace wrenn::api
