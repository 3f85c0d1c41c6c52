#include "cp/store/figures.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static std::int64_t count_up_to_most(db::Connection& connection, std::string_view from_where,
                                     std::vector<db::Param> params = {}) {
  params.emplace_back(kFiguresMost);
  return count(
      connection,
      fmt::format("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT ${}) AS found", from_where, params.size()),
      params);
}

Figures figures(db::Connection& connection, std::string_view group, UnixTime at) {
  Figures all;
  all.sandboxes = count_sandboxes(connection);
  connection.query("SELECT status, COUNT(*) FROM hosts GROUP BY status", {},
                   [&](const db::Row& row) { all.hosts[std::string(row.text(0))] = row.integer(1); });
  all.events_new = count_up_to_most(connection, "events WHERE seq IS NULL");
  all.events_not_taken_in = count_up_to_most(
      connection, "events WHERE seq > COALESCE((SELECT position FROM event_groups WHERE name = $1), 0)",
      {group});
  all.deliveries_pending = count_up_to_most(connection, "deliveries WHERE status = 'pending'");
  all.deliveries_due = count_up_to_most(connection, "deliveries WHERE first = 1 AND due_at <= $1", {at.us});
  all.deliveries_dead = count_up_to_most(connection, "deliveries WHERE status = 'dead'");
  return all;
}

}  // namespace wrenn::cp::store
