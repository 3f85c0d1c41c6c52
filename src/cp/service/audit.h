// What stands in the audit log: one line an action (spec/data-model.md §7, and what that list lacks).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/db/database.h"
#include "cp/store/audit.h"
#include "model/actor.h"
#include "model/ids.h"

namespace wrenn::cp::service::audit {

struct Action {
  std::string_view resource, action;
  std::string_view scope = store::kTeamScope;
  std::string_view status = "success";
};

inline constexpr Action kTeamCreate{"team", "create"};
inline constexpr Action kTeamRename{"team", "rename", store::kTeamScope, "info"};
inline constexpr Action kTeamDelete{"team", "delete", store::kAdminScope, "warning"};
inline constexpr Action kTeamSetByoc{"team", "set_byoc", store::kAdminScope, "info"};
inline constexpr Action kKeyCreate{"api_key", "create"};
inline constexpr Action kKeyRevoke{"api_key", "revoke", store::kTeamScope, "warning"};
inline constexpr Action kMemberAdd{"member", "add", store::kAdminScope};
inline constexpr Action kMemberRemove{"member", "remove", store::kAdminScope, "warning"};
inline constexpr Action kMemberLeave{"member", "leave", store::kAdminScope, "info"};
inline constexpr Action kMemberRole{"member", "role_update", store::kAdminScope, "info"};
inline constexpr Action kUserActivate{"user", "activate", store::kAdminScope};
inline constexpr Action kUserDeactivate{"user", "deactivate", store::kAdminScope, "warning"};
inline constexpr Action kUserGrantAdmin{"user", "grant_admin", store::kAdminScope};
inline constexpr Action kUserRevokeAdmin{"user", "revoke_admin", store::kAdminScope, "warning"};
inline constexpr Action kSnapshotCreate{"snapshot", "create"};
inline constexpr Action kSnapshotDelete{"snapshot", "delete", store::kTeamScope, "warning"};
inline constexpr Action kTemplateDelete{"template", "delete", store::kAdminScope,
                                        "warning"};  // the platform's
inline constexpr Action kUserCreate{"user", "create", store::kAdminScope};

using Metadata = std::map<std::string, std::string>;

// In the transaction of what was done; `team` is whose log it is. Throws what the database throws.
void write(db::Connection& connection, const Action& action, const model::TeamId& team,
           const model::Actor& actor, std::string_view resource_id, const Metadata& metadata = {});

}  // namespace wrenn::cp::service::audit
