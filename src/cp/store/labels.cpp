#include "cp/store/labels.h"

#include <fmt/format.h>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

void insert_labels(db::Connection& connection, const model::SandboxId& sandbox, const model::TeamId& team,
                   const Labels& labels) {
  for (const auto& [name, value] : labels)
    connection.execute(
        "INSERT INTO sandbox_labels (sandbox_id, team_id, name, value) VALUES ($1, $2, $3, $4)",
        {sandbox.text(), team.text(), name, value});
}

std::unordered_set<model::SandboxId> sandboxes_labelled(db::Connection& connection, const model::TeamId& team,
                                                        const Labels& labels) {
  std::vector<db::Param> params{team.text()};
  std::string sql;
  for (const auto& [name, value] : labels) {
    params.emplace_back(name);
    params.emplace_back(value);
    sql += fmt::format(
        "{}SELECT sandbox_id FROM sandbox_labels WHERE team_id = $1 AND name = ${} AND value = ${}",
        sql.empty() ? "" : " INTERSECT ", params.size() - 1, params.size());
  }
  std::unordered_set<model::SandboxId> found;
  connection.query(sql, params,
                   [&](const db::Row& row) { found.insert(stored_id<model::SandboxId>(row.text(0))); });
  return found;
}

}  // namespace wrenn::cp::store
