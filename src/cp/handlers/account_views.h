// Rows of accounts, teams, keys and the audit log in the shapes of api/accounts.h.
#pragma once

#include "api/accounts.h"
#include "cp/service/accounts.h"
#include "cp/service/administration.h"
#include "cp/store/api_keys.h"
#include "cp/store/audit.h"
#include "cp/store/teams.h"

namespace wrenn::cp::handlers {

api::Auth auth_view(const service::SignedIn& signed_in);
api::Team team_view(const store::Team& team);
api::Team team_view(const store::JoinedTeam& joined);
api::Member member_view(const store::Member& member);
api::ApiKey key_view(const store::ListedApiKey& listed);
api::AuditItem audit_view(const store::AuditEntry& entry);
api::AdminTeam admin_team_view(const store::TeamSummary& summary);
api::AdminUser admin_user_view(const store::UserSummary& summary);

}  // namespace wrenn::cp::handlers
