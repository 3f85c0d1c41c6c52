#include "cp/handlers/account_views.h"

namespace wrenn::cp::handlers {

// "2026-05-19T14:23:01.000042Z"
static std::string with_microseconds(UnixTime time) {
  auto text = to_rfc3339(time);
  text.insert(text.size() - 1, fmt::format(".{:06}", time.us % 1'000'000));
  return text;
}

api::Auth auth_view(const service::SignedIn& signed_in) {
  return {signed_in.token, signed_in.user.text(), signed_in.team.text(), signed_in.email, signed_in.name};
}

api::Team team_view(const store::Team& team) {
  return {team.id.text(), team.name, team.slug, team.is_byoc, to_rfc3339(team.created_at), ""};
}

api::Team team_view(const store::JoinedTeam& joined) {
  auto view = team_view(joined.team);
  view.role = to_string(joined.role);
  return view;
}

api::Member member_view(const store::Member& member) {
  return {member.membership.user.text(), member.name, member.email,
          std::string(to_string(member.membership.role)), to_rfc3339(member.membership.joined_at)};
}

api::ApiKey key_view(const store::ListedApiKey& listed) {
  const auto& key = listed.key;
  api::ApiKey view;
  view.id = key.id.text();
  view.team_id = key.team.text();
  view.name = key.name;
  view.key_prefix = key.prefix;
  if (key.created_by) view.created_by = key.created_by->text();
  view.creator_email = listed.creator_email;
  view.created_at = to_rfc3339(key.created_at);
  if (key.last_used) view.last_used = to_rfc3339(*key.last_used);
  return view;
}

api::AuditItem audit_view(const store::AuditEntry& entry) {
  return {entry.id.text(),
          entry.actor_type,
          entry.actor_id,
          entry.actor_name,
          entry.resource_type,
          entry.resource_id,
          entry.action,
          entry.scope,
          entry.status,
          json::Raw{entry.metadata},
          with_microseconds(entry.created_at)};
}

api::AdminTeam admin_team_view(const store::TeamSummary& summary) {
  const auto& team = summary.team;
  api::AdminTeam view;
  view.id = team.id.text();
  view.name = team.name;
  view.slug = team.slug;
  view.is_byoc = team.is_byoc;
  view.created_at = to_rfc3339(team.created_at);
  view.deleted_at.text = team.deleted_at ? "\"" + to_rfc3339(*team.deleted_at) + "\"" : "null";
  view.member_count = summary.members;
  view.owner_name = summary.owner_name;
  view.owner_email = summary.owner_email;
  view.active_sandbox_count = summary.active_sandboxes;
  view.channel_count = summary.channels;
  return view;
}

api::AdminUser admin_user_view(const store::UserSummary& summary) {
  const auto& user = summary.user;
  return {user.id.text(),
          user.email,
          user.name,
          user.is_admin,
          std::string(to_string(user.status)),
          to_rfc3339(user.created_at),
          summary.teams_joined,
          summary.teams_owned};
}

}  // namespace wrenn::cp::handlers
