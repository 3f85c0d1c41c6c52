#include "cp/store/teams.h"

#include "cp/store/ids.h"

namespace wrenn::cp::store {

void insert_team(db::Connection& connection, const Team& team) {
  connection.execute("INSERT INTO teams (id, name, slug, created_at) VALUES ($1, $2, $3, $4)",
                     {team.id.text(), team.name, team.slug, team.created_at.us});
}

void ensure_platform_team(db::Connection& connection, UnixTime at) {
  connection.execute(
      "INSERT INTO teams (id, name, slug, created_at) VALUES ($1, 'Platform', 'platform', $2) ON CONFLICT DO "
      "NOTHING",
      {model::kPlatformTeam.text(), at.us});
}

std::optional<Team> first_team(db::Connection& connection) {
  std::optional<Team> team;
  connection.query(
      "SELECT id, name, slug, created_at FROM teams WHERE deleted_at IS NULL AND id <> $1 "
      "ORDER BY created_at, id LIMIT 1",
      {model::kPlatformTeam.text()}, [&](const db::Row& row) {
        team = Team{stored_id<model::TeamId>(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
                    UnixTime{row.integer(3)}};
      });
  return team;
}

void insert_api_key(db::Connection& connection, const ApiKey& key) {
  connection.execute(
      "INSERT INTO team_api_keys (id, team_id, name, key_hash, key_prefix, created_at) VALUES ($1, $2, $3, "
      "$4, $5, $6)",
      {key.id.text(), key.team.text(), key.name, key.hash, key.prefix, key.created_at.us});
}

std::optional<ApiKey> find_api_key(db::Connection& connection, const std::string& hash) {
  std::optional<ApiKey> key;
  connection.query(
      "SELECT k.id, k.team_id, k.name, k.key_prefix, k.created_at FROM team_api_keys k "
      "JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL WHERE k.key_hash = $1",
      {hash}, [&](const db::Row& row) {
        key = ApiKey{stored_id<model::ApiKeyId>(row.text(0)),
                     stored_id<model::TeamId>(row.text(1)),
                     std::string(row.text(2)),
                     hash,
                     std::string(row.text(3)),
                     UnixTime{row.integer(4)}};
      });
  return key;
}

void set_api_key_used(db::Connection& connection, const model::ApiKeyId& id, UnixTime at) {
  connection.execute("UPDATE team_api_keys SET last_used = $2 WHERE id = $1", {id.text(), at.us});
}

}  // namespace wrenn::cp::store
