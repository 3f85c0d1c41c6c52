#include "core/events/stream.h"

#include "core/base/id.h"

namespace wrenn::events {

void append(db::Connection& connection, const Record& record) {
  connection.execute(
      "INSERT INTO events (id, type, team_id, resource, position, payload, created_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {to_base36(random_id_bytes()), record.type, record.team, record.resource, record.position,
       record.payload, record.at.us});
  connection.notify(kAppended, "");
}

std::size_t number(db::Connection& connection, std::size_t limit) {
  const auto last = last_number(connection);
  // An event counts as no earlier than those before it of its resource, whatever the clocks of their
  // processes said.
  const auto numbered = connection.execute(
      "UPDATE events SET seq = numbered.seq FROM ("
      "SELECT id, $1 + ROW_NUMBER() OVER (ORDER BY effective_at, resource, position, created_at, id) AS seq "
      "FROM (SELECT id, resource, position, created_at, MAX(created_at) OVER (PARTITION BY resource "
      "ORDER BY position, created_at, id ROWS UNBOUNDED PRECEDING) AS effective_at "
      "FROM events WHERE seq IS NULL) AS waiting "
      "ORDER BY effective_at, resource, position, created_at, id LIMIT $2) AS numbered "
      "WHERE events.id = numbered.id",
      {last, static_cast<std::int64_t>(limit)});
  if (numbered == 0) return 0;
  connection.execute(
      "INSERT INTO event_streams (name, last) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET last = "
      "excluded.last",
      {kStream, last + numbered});
  connection.notify(kNumbered, "");
  return static_cast<std::size_t>(numbered);
}

std::vector<Event> read_after(db::Connection& connection, std::int64_t seq, std::size_t limit,
                              std::string_view team) {
  static constexpr std::string_view kOfAll =
      "SELECT id, seq, type, team_id, resource, position, payload, created_at FROM events "
      "WHERE seq > $1 ORDER BY seq LIMIT $2";
  static constexpr std::string_view kOfTeam =
      "SELECT id, seq, type, team_id, resource, position, payload, created_at FROM events "
      "WHERE seq > $1 AND team_id = $3 ORDER BY seq LIMIT $2";
  std::vector<db::Param> params{seq, static_cast<std::int64_t>(limit)};
  if (!team.empty()) params.emplace_back(team);
  std::vector<Event> events;
  connection.query(team.empty() ? kOfAll : kOfTeam, params, [&](const db::Row& row) {
    Event& event = events.emplace_back();
    event.id = row.text(0);
    event.seq = row.integer(1);
    event.type = row.text(2);
    event.team = row.text(3);
    event.resource = row.text(4);
    event.position = row.integer(5);
    event.payload = row.text(6);
    event.at = UnixTime{row.integer(7)};
  });
  return events;
}

static std::int64_t read_number(db::Connection& connection, std::string_view sql, std::string_view name) {
  std::int64_t number = 0;
  connection.query(sql, {name}, [&](const db::Row& row) { number = row.integer(0); });
  return number;
}

std::int64_t last_number(db::Connection& connection) {
  return read_number(connection, "SELECT last FROM event_streams WHERE name = $1", kStream);
}

std::int64_t group_position(db::Connection& connection, std::string_view group) {
  return read_number(connection, "SELECT position FROM event_groups WHERE name = $1", group);
}

void erase_group(db::Connection& connection, std::string_view group) {
  connection.execute("DELETE FROM event_groups WHERE name = $1", {group});
}

void move_group(db::Connection& connection, std::string_view group, std::int64_t position) {
  connection.execute(
      "INSERT INTO event_groups (name, position) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET position = "
      "excluded.position WHERE event_groups.position < excluded.position",
      {group, position});
}

}  // namespace wrenn::events
