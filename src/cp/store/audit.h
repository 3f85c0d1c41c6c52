// The audit log: who did what. Written in the transaction of what was done.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/actor.h"
#include "model/ids.h"

namespace wrenn::cp::store {

// Members of a team see the first, its owner and admins both.
inline constexpr std::string_view kTeamScope = "team", kAdminScope = "admin";

struct AuditEntry {
  model::AuditLogId id;
  model::TeamId team;
  std::string actor_type;  // "user", "api_key", "system"
  std::string actor_id, actor_name;
  std::string resource_type, resource_id;
  std::string action;
  std::string scope;            // kTeamScope, kAdminScope
  std::string status;           // success | info | warning | error
  std::string metadata = "{}";  // JSON object of strings
  UnixTime created_at;
};

// All throw as db::Connection::query().
void insert_audit(db::Connection& connection, const AuditEntry& entry);

// Where a page begins: behind this entry. With an empty id: before this time.
struct AuditCursor {
  UnixTime created_at;
  std::string id;
};
struct AuditFilter {
  bool admin_scope = false;                          // entries of kAdminScope too
  std::vector<std::string> resource_types, actions;  // empty: any
};
// Newest first.
std::vector<AuditEntry> audit_page(db::Connection& connection, const model::TeamId& team,
                                   const AuditFilter& filter, const std::optional<AuditCursor>& behind,
                                   std::int64_t limit);

// Nothing in the log names him any more: not as actor, not as a member.
void forget_in_audit(db::Connection& connection, const model::UserId& user);

}  // namespace wrenn::cp::store
