#include "cp/service/audit.h"

#include "cp/service/settle.h"

namespace wrenn::cp::service::audit {

void write(db::Connection& connection, const Action& action, const model::TeamId& team,
           const model::Actor& actor, std::string_view resource_id, const Metadata& metadata) {
  store::AuditEntry entry;
  entry.id = model::AuditLogId::random();
  entry.team = team;
  entry.actor_type = to_string(actor.kind);
  entry.actor_id = actor.id;
  entry.actor_name = actor.name;
  entry.resource_type = action.resource;
  entry.resource_id = resource_id;
  entry.action = action.action;
  entry.scope = action.scope;
  entry.status = action.status;
  entry.metadata = metadata_json(metadata);
  entry.created_at = now();
  store::insert_audit(connection, entry);
}

}  // namespace wrenn::cp::service::audit
