#include "cp/store/audit.h"

#include <fmt/format.h>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static constexpr std::string_view kColumns =
    "id, team_id, actor_type, actor_id, actor_name, resource_type, resource_id, action, scope, status, "
    "metadata, "
    "created_at";

static std::optional<std::string> or_null(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

void insert_audit(db::Connection& connection, const AuditEntry& entry) {
  static const std::string kInsert = fmt::format(
      "INSERT INTO audit_logs ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", kColumns);
  connection.execute(kInsert, {entry.id.text(), entry.team.text(), entry.actor_type, or_null(entry.actor_id),
                               entry.actor_name, entry.resource_type, or_null(entry.resource_id),
                               entry.action, entry.scope, entry.status, entry.metadata, entry.created_at.us});
}

static AuditEntry read_entry(const db::Row& row) {
  return {stored_id<model::AuditLogId>(row.text(0)),
          stored_id<model::TeamId>(row.text(1)),
          std::string(row.text(2)),
          std::string(row.text(3)),
          std::string(row.text(4)),
          std::string(row.text(5)),
          std::string(row.text(6)),
          std::string(row.text(7)),
          std::string(row.text(8)),
          std::string(row.text(9)),
          std::string(row.text(10)),
          UnixTime{row.integer(11)}};
}

// " AND column IN ($7, $8)"; nothing for no values.
static std::string one_of(std::string_view column, const std::vector<std::string>& values,
                          std::vector<db::Param>& params) {
  std::string sql;
  for (const auto& value : values) {
    params.emplace_back(value);
    sql += fmt::format("{}${}", sql.empty() ? fmt::format(" AND {} IN (", column) : ", ", params.size());
  }
  if (!sql.empty()) sql += ')';
  return sql;
}

std::vector<AuditEntry> audit_page(db::Connection& connection, const model::TeamId& team,
                                   const AuditFilter& filter, const std::optional<AuditCursor>& behind,
                                   std::int64_t limit) {
  std::vector<db::Param> params{team.text(), limit};
  std::string sql = fmt::format("SELECT {} FROM audit_logs WHERE team_id = $1", kColumns);
  if (!filter.admin_scope) sql += " AND scope = 'team'";
  sql += one_of("resource_type", filter.resource_types, params);
  sql += one_of("action", filter.actions, params);
  if (behind) {
    params.emplace_back(behind->created_at.us);
    const auto time = params.size();
    params.emplace_back(behind->id);
    sql += fmt::format(" AND (created_at < ${0} OR (created_at = ${0} AND id < ${1}))", time, time + 1);
  }
  sql += " ORDER BY created_at DESC, id DESC LIMIT $2";
  std::vector<AuditEntry> entries;
  connection.query(sql, params, [&](const db::Row& row) { entries.push_back(read_entry(row)); });
  return entries;
}

void forget_in_audit(db::Connection& connection, const model::UserId& user) {
  connection.execute("UPDATE audit_logs SET actor_id = NULL, actor_name = 'deleted-user' WHERE actor_id = $1",
                     {user.text()});
  // What an entry about a member holds beside his id is his address.
  connection.execute(
      "UPDATE audit_logs SET resource_id = NULL, metadata = '{}' WHERE resource_type = 'member' AND "
      "resource_id = $1",
      {user.text()});
}

}  // namespace wrenn::cp::store
