#include "cp/store/remains.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static std::vector<Remnant> query_capsules(db::Connection& connection, std::string_view sql,
                                           std::int64_t limit) {
  std::vector<Remnant> found;
  connection.query(sql, {limit}, [&](const db::Row& row) {
    found.push_back({stored_id<model::TeamId>(row.text(0)), stored_id<model::SandboxId>(row.text(1))});
  });
  return found;
}

std::vector<Remnant> capsules_of_deleted_teams(db::Connection& connection, std::int64_t limit) {
  return query_capsules(connection,
                        "SELECT s.team_id, s.id FROM sandboxes s JOIN teams t ON t.id = s.team_id "
                        "WHERE t.deleted_at IS NOT NULL AND s.status NOT IN ('stopped', 'error') "
                        "ORDER BY s.created_at LIMIT $1",
                        limit);
}

std::vector<RemnantTemplate> templates_of_deleted_teams(db::Connection& connection, std::int64_t limit) {
  std::vector<RemnantTemplate> found;
  connection.query(
      "SELECT t.team_id, t.name FROM templates t JOIN teams d ON d.id = t.team_id "
      "WHERE d.deleted_at IS NOT NULL ORDER BY t.created_at LIMIT $1",
      {limit}, [&](const db::Row& row) {
        found.push_back({stored_id<model::TeamId>(row.text(0)), std::string(row.text(1))});
      });
  return found;
}

std::vector<Remnant> running_capsules_of_disabled_users(db::Connection& connection, std::int64_t limit) {
  return query_capsules(
      connection,
      "SELECT s.team_id, s.id FROM sandboxes s WHERE s.status = 'running' AND s.team_id IN "
      "(SELECT m.team_id FROM users_teams m JOIN users u ON u.id = m.user_id WHERE u.status = 'disabled') "
      "AND NOT EXISTS (SELECT 1 FROM users_teams o JOIN users a ON a.id = o.user_id "
      "WHERE o.team_id = s.team_id AND a.status = 'active') ORDER BY s.created_at LIMIT $1",
      limit);
}

}  // namespace wrenn::cp::store
