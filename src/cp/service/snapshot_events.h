// What teams are told of their snapshots: the event and the entry of the audit log, in the transaction that
// makes the change.
#pragma once

#include <string>
#include <string_view>

#include "core/db/database.h"
#include "cp/store/templates.h"
#include "model/event.h"

namespace wrenn::cp::service {

// How an operation on a snapshot ended, and who knows.
struct SnapshotEnd {
  std::string error;      // empty: it worked
  bool inferred = false;  // from what the host says or from its silence, by somebody who did not do it
};

// `type`: model::event::kSnapshotCreate, kSnapshotDelete; `by` asked for it. Throws what the database throws.
void publish_snapshot(db::Connection& connection, std::string_view type, const model::Actor& by,
                      const store::Template& row, const SnapshotEnd& end = {});
// A snapshot that was begun and never finished; row.by asked for it.
void publish_abandoned_snapshot(db::Connection& connection, const store::Template& row);

}  // namespace wrenn::cp::service
