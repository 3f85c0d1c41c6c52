#include "cp/store/sandbox_metrics.h"

namespace wrenn::cp::store {

std::optional<std::string> sandbox_metrics(db::Connection& connection, const model::SandboxId& id,
                                           std::string_view tier) {
  std::optional<std::string> points;
  connection.query("SELECT points FROM sandbox_metrics WHERE sandbox_id = $1 AND tier = $2",
                   {id.text(), tier}, [&](const db::Row& row) { points = row.text(0); });
  return points;
}

void set_sandbox_metrics(db::Connection& connection, const model::SandboxId& id, std::string_view tier,
                         std::string_view points, UnixTime at) {
  connection.execute(
      "INSERT INTO sandbox_metrics (sandbox_id, tier, points, stored_at) VALUES ($1, $2, $3, $4) "
      "ON CONFLICT (sandbox_id, tier) DO UPDATE SET points = excluded.points, stored_at = excluded.stored_at",
      {id.text(), tier, points, at.us});
}

void delete_sandbox_metrics(db::Connection& connection, const model::SandboxId& id, std::string_view tier) {
  connection.execute("DELETE FROM sandbox_metrics WHERE sandbox_id = $1 AND tier = $2", {id.text(), tier});
}

std::int64_t prune_sandbox_metrics(db::Connection& connection, UnixTime before, std::int64_t limit) {
  return connection.execute(
      "DELETE FROM sandbox_metrics WHERE (sandbox_id, tier) IN "
      "(SELECT sandbox_id, tier FROM sandbox_metrics WHERE stored_at < $1 ORDER BY stored_at LIMIT $2)",
      {before.us, limit});
}

}  // namespace wrenn::cp::store
