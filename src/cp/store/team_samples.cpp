#include "cp/store/team_samples.h"

#include <fmt/format.h>

#include "cp/store/sandboxes.h"

namespace wrenn::cp::store {

// Three columns of sums over live capsules; PostgreSQL adds BIGINTs up to NUMERICs.
static const std::string& sums() {
  static const std::string kSums = fmt::format(
      "CAST(COALESCE(SUM(CASE WHEN {0} THEN 1 ELSE 0 END), 0) AS BIGINT) AS running, "
      "CAST(COALESCE(SUM(CASE WHEN {0} THEN vcpus ELSE 0 END), 0) AS BIGINT) AS vcpus, "
      "CAST(COALESCE(SUM(CASE WHEN {0} THEN memory_mb WHEN status = 'paused' THEN (memory_mb + 1) / 2 ELSE 0 "
      "END), 0) AS BIGINT) AS memory_mb",
      reserved_condition());
  return kSums;
}

TeamFigures figures_of(db::Connection& connection, const model::TeamId& team) {
  static const std::string kFigures = fmt::format(
      "SELECT {} FROM sandboxes WHERE team_id = $1 AND status NOT IN ('stopped', 'error')", sums());
  TeamFigures figures;
  connection.query(kFigures, {team.text()},
                   [&](const db::Row& row) { figures = {row.integer(0), row.integer(1), row.integer(2)}; });
  return figures;
}

void sample_teams(db::Connection& connection, std::chrono::microseconds period, UnixTime at,
                  UnixTime quiet_since) {
  static const std::string kSample = fmt::format(
      "INSERT INTO team_samples (team_id, period_us, at, running, vcpus, memory_mb) "
      "SELECT team_id, CAST($1 AS BIGINT), CAST($2 AS BIGINT), MAX(running), MAX(vcpus), MAX(memory_mb) FROM "
      "("
      "SELECT team_id, {} FROM sandboxes WHERE status NOT IN ('stopped', 'error') GROUP BY team_id "
      "UNION ALL SELECT DISTINCT team_id, 0, 0, 0 FROM usage_runs WHERE ended_at > $3) AS teams "
      "WHERE 1 = 1 GROUP BY team_id "
      "ON CONFLICT (team_id, period_us, at) DO UPDATE SET "
      "running = CASE WHEN excluded.running > team_samples.running THEN excluded.running ELSE "
      "team_samples.running END, "
      "vcpus = CASE WHEN excluded.vcpus > team_samples.vcpus THEN excluded.vcpus ELSE team_samples.vcpus "
      "END, "
      "memory_mb = CASE WHEN excluded.memory_mb > team_samples.memory_mb THEN excluded.memory_mb ELSE "
      "team_samples.memory_mb END",
      sums());
  connection.execute(kSample, {period.count(), at.us - at.us % period.count(), quiet_since.us});
}

std::vector<TeamSample> team_samples(db::Connection& connection, const model::TeamId& team,
                                     std::chrono::microseconds period, UnixTime from, UnixTime until) {
  std::vector<TeamSample> samples;
  connection.query(
      "SELECT at, running, vcpus, memory_mb FROM team_samples "
      "WHERE team_id = $1 AND period_us = $2 AND at >= $3 AND at <= $4 ORDER BY at",
      {team.text(), period.count(), from.us, until.us}, [&](const db::Row& row) {
        samples.push_back({UnixTime{row.integer(0)}, {row.integer(1), row.integer(2), row.integer(3)}});
      });
  return samples;
}

TeamFigures team_peaks(db::Connection& connection, const model::TeamId& team,
                       std::chrono::microseconds period, UnixTime from, UnixTime until) {
  TeamFigures peaks;
  connection.query(
      "SELECT COALESCE(MAX(running), 0), COALESCE(MAX(vcpus), 0), COALESCE(MAX(memory_mb), 0) FROM "
      "team_samples "
      "WHERE team_id = $1 AND period_us = $2 AND at >= $3 AND at <= $4",
      {team.text(), period.count(), from.us, until.us},
      [&](const db::Row& row) { peaks = {row.integer(0), row.integer(1), row.integer(2)}; });
  return peaks;
}

std::int64_t prune_team_samples(db::Connection& connection, std::chrono::microseconds period, UnixTime before,
                                std::int64_t limit) {
  return connection.execute(
      "DELETE FROM team_samples WHERE (team_id, period_us, at) IN (SELECT team_id, period_us, at FROM "
      "team_samples WHERE period_us = $1 AND at < $2 ORDER BY at LIMIT $3)",
      {period.count(), before.us, limit});
}

}  // namespace wrenn::cp::store
