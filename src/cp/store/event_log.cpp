#include "cp/store/event_log.h"

#include "api/event.h"
#include "core/events/stream.h"
#include "core/log/log.h"

namespace wrenn::cp::store {

// Below what a notification may have, with the channel and the team.
static constexpr std::size_t kTransientBytes = 7'500;

void publish(db::Connection& connection, const model::Event& event) {
  events::Record record;
  record.type = event.type;
  record.team = event.team.text();
  record.resource = fmt::format("{}:{}", event.resource_type, event.resource_id);
  record.position = event.position;
  record.payload = json::to_json(api::event_view(event));
  record.at = event.at;
  events::append(connection, record);
}

void publish_transient(db::Connection& connection, const model::Event& event) {
  const auto payload = json::to_json(api::event_view(event));
  if (payload.size() > kTransientBytes) {
    log::debug("an event of the moment is too long to be told",
               {{"event", event.type}, {"bytes", payload.size()}});
    return;
  }
  connection.notify(kTransient, fmt::format("{} {}", event.team.text(), payload));
}

std::int64_t trim_events(db::Connection& connection, UnixTime before, std::int64_t limit) {
  return connection.execute(
      "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE created_at < $1 AND seq IS NOT NULL "
      "AND seq <= (SELECT COALESCE(MIN(position), 0) FROM event_groups) "
      "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id AND "
      "finished_at IS NULL) "
      "ORDER BY created_at LIMIT $2)",
      {before.us, limit});
}

}  // namespace wrenn::cp::store
