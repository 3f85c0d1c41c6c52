// Telling teams what happened: see core/events/stream.h for what becomes of it.
#pragma once

#include <string>
#include <string_view>

#include "core/db/database.h"
#include "model/event.h"

namespace wrenn::cp::store {

// Words of Connection::notify, "<team> <payload>".
inline constexpr std::string_view kTransient = "events.transient";

// Within the write that makes the change: it is told if and only if that is committed. Throws as
// db::Connection::query().
void publish(db::Connection& connection, const model::Event& event);

// To listeners of the moment only, and kept nowhere: capsule.state.changed. A payload that is too long for
// that is not told. Throws as db::Connection::query().
void publish_transient(db::Connection& connection, const model::Event& event);

// Deletes up to `limit` events from before `before` that every group of readers is past and no delivery waits
// for; returns how many.
std::int64_t trim_events(db::Connection& connection, UnixTime before, std::int64_t limit);

}  // namespace wrenn::cp::store
