#include "cp/store/usage.h"

#include <limits>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

// In ended_at; the same number stands in sql/0009_usage.sql.
static constexpr std::int64_t kRuns = std::numeric_limits<std::int64_t>::max();

void open_run(db::Connection& connection, const Sandbox& row, UnixTime at) {
  // Of an open one the unique index knows; nothing to do then.
  connection.execute(
      "INSERT INTO usage_runs (sandbox_id, revision, team_id, vcpus, memory_mb, started_at, ended_at) "
      "SELECT $1, $2, $3, $4, $5, MAX(t), 9223372036854775807 FROM (SELECT CAST($6 AS BIGINT) AS t UNION ALL "
      "SELECT ended_at FROM usage_runs WHERE sandbox_id = $1 AND ended_at < 9223372036854775807) AS times "
      "WHERE 1 = 1 ON CONFLICT DO NOTHING",
      {row.id.text(), row.revision, row.team.text(), row.vcpus, row.memory_mb, at.us});
}

void close_run(db::Connection& connection, const model::SandboxId& id, UnixTime at) {
  connection.execute(
      "UPDATE usage_runs SET ended_at = CASE WHEN started_at > $2 THEN started_at ELSE $2 END "
      "WHERE sandbox_id = $1 AND ended_at = 9223372036854775807",
      {id.text(), at.us});
}

void runs_between(db::Connection& connection, const std::optional<model::TeamId>& team, UnixTime from,
                  UnixTime until, const std::function<void(const Run&)>& each) {
  const auto read = [&](const db::Row& row) {
    Run run{
        stored_id<model::TeamId>(row.text(0)), row.integer(1), row.integer(2), UnixTime{row.integer(3)}, {}};
    if (row.integer(4) != kRuns) run.ended_at = UnixTime{row.integer(4)};
    each(run);
  };
  if (team)
    connection.query(
        "SELECT team_id, vcpus, memory_mb, started_at, ended_at FROM usage_runs "
        "WHERE team_id = $1 AND ended_at > $2 AND started_at < $3",
        {team->text(), from.us, until.us}, read);
  else
    connection.query(
        "SELECT team_id, vcpus, memory_mb, started_at, ended_at FROM usage_runs "
        "WHERE ended_at > $1 AND started_at < $2",
        {from.us, until.us}, read);
}

std::optional<std::int64_t> next_usage_day(db::Connection& connection) {
  std::optional<std::int64_t> day;
  const auto read = [&](const db::Row& row) {
    if (!row.is_null(0)) day = row.integer(0);
  };
  connection.query("SELECT next_day FROM usage_rollup WHERE id = 1", {}, read);
  if (!day) connection.query("SELECT MIN(started_at) / 86400000000 FROM usage_runs", {}, read);
  return day;
}

UsageByDay daily_usage(db::Connection& connection, const model::TeamId& team, std::int64_t first,
                       std::int64_t last) {
  UsageByDay days;
  connection.query(
      "SELECT day, vcpu_ms, mib_ms FROM daily_usage WHERE team_id = $1 AND day >= $2 AND day <= $3",
      {team.text(), first, last},
      [&](const db::Row& row) { days[row.integer(0)] = {row.integer(1), row.integer(2)}; });
  return days;
}

static void set_next_day(db::Connection& connection, std::int64_t day) {
  connection.execute(
      "INSERT INTO usage_rollup (id, next_day) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET next_day = $1",
      {day});
}

void set_daily_usage(db::Connection& connection, std::int64_t day,
                     const std::map<model::TeamId, Usage>& by_team) {
  connection.execute("DELETE FROM daily_usage WHERE day = $1", {day});
  for (const auto& [team, usage] : by_team)
    connection.execute("INSERT INTO daily_usage (team_id, day, vcpu_ms, mib_ms) VALUES ($1, $2, $3, $4)",
                       {team.text(), day, usage.vcpu_ms, usage.mib_ms});
  set_next_day(connection, day + 1);
}

void reopen_usage(db::Connection& connection, std::int64_t day) {
  if (connection.execute("UPDATE usage_rollup SET next_day = $1 WHERE next_day > $1", {day}) > 0)
    connection.execute("DELETE FROM daily_usage WHERE day >= $1", {day});
}

std::int64_t prune_runs(db::Connection& connection, UnixTime before, std::int64_t limit) {
  return connection.execute(
      "DELETE FROM usage_runs WHERE (sandbox_id, revision) IN "
      "(SELECT sandbox_id, revision FROM usage_runs WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
      {before.us, limit});
}

}  // namespace wrenn::cp::store
