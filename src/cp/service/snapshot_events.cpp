#include "cp/service/snapshot_events.h"

#include "cp/service/audit.h"
#include "cp/store/event_log.h"

namespace wrenn::cp::service {

void publish_snapshot(db::Connection& connection, std::string_view type, const model::Actor& by,
                      const store::Template& row, const SnapshotEnd& end) {
  const bool worked = end.error.empty();
  model::Event event;
  event.type = type;
  event.outcome = worked ? model::Outcome::success : model::Outcome::error;
  event.at = now();
  event.team = row.team;
  event.actor = by;
  // The resource is the name: that is how users know it.
  event.resource_type = "snapshot";
  event.resource_id = row.name;
  event.position = event.at.us;
  event.error = end.error;
  if (end.inferred) event.metadata["inferred"] = "true";
  store::publish(connection, event);

  audit::Action entry = audit::kSnapshotCreate;
  if (type == model::event::kSnapshotDelete)
    entry = row.team == model::kPlatformTeam ? audit::kTemplateDelete : audit::kSnapshotDelete;
  if (!worked) entry.status = "error";
  audit::Metadata metadata = event.metadata;
  if (!worked) metadata["error"] = end.error;
  audit::write(connection, entry, row.team, by, row.name, metadata);
}

void publish_abandoned_snapshot(db::Connection& connection, const store::Template& row) {
  publish_snapshot(connection, model::event::kSnapshotCreate, row.by, row,
                   {"it was begun and never finished", true});
}

}  // namespace wrenn::cp::service
