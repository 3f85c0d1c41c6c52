#include "cp/store/api_keys.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

static ApiKey read_key(const db::Row& row) {
  ApiKey key;
  key.id = stored_id<model::ApiKeyId>(row.text(0));
  key.team = stored_id<model::TeamId>(row.text(1));
  key.name = row.text(2);
  key.hash = row.text(3);
  key.prefix = row.text(4);
  key.created_at = UnixTime{row.integer(5)};
  if (!row.is_null(6)) key.created_by = stored_id<model::UserId>(row.text(6));
  key.last_used = optional_time(row, 7);
  return key;
}

void insert_api_key(db::Connection& connection, const ApiKey& key) {
  std::optional<std::string> creator;
  if (key.created_by) creator = key.created_by->text();
  connection.execute(
      "INSERT INTO team_api_keys (id, team_id, name, key_hash, key_prefix, created_at, created_by) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {key.id.text(), key.team.text(), key.name, key.hash, key.prefix, key.created_at.us, creator});
}

std::optional<ApiKey> find_api_key(db::Connection& connection, const std::string& hash) {
  std::optional<ApiKey> key;
  connection.query(
      "SELECT k.id, k.team_id, k.name, k.key_hash, k.key_prefix, k.created_at, k.created_by, k.last_used "
      "FROM team_api_keys k JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL WHERE k.key_hash = $1",
      {hash}, [&](const db::Row& row) { key = read_key(row); });
  return key;
}

void set_api_key_used(db::Connection& connection, const model::ApiKeyId& id, UnixTime at) {
  connection.execute("UPDATE team_api_keys SET last_used = $2 WHERE id = $1", {id.text(), at.us});
}

std::vector<ListedApiKey> api_keys_of(db::Connection& connection, const model::TeamId& team) {
  std::vector<ListedApiKey> keys;
  connection.query(
      "SELECT k.id, k.team_id, k.name, k.key_hash, k.key_prefix, k.created_at, k.created_by, k.last_used, "
      "u.email "
      "FROM team_api_keys k LEFT JOIN users u ON u.id = k.created_by "
      "WHERE k.team_id = $1 ORDER BY k.created_at DESC, k.id",
      {team.text()}, [&](const db::Row& row) { keys.push_back({read_key(row), std::string(row.text(8))}); });
  return keys;
}

std::int64_t erase_api_key(db::Connection& connection, const model::TeamId& team, const model::ApiKeyId& id) {
  return connection.execute("DELETE FROM team_api_keys WHERE team_id = $1 AND id = $2",
                            {team.text(), id.text()});
}

std::int64_t erase_api_keys_of_team(db::Connection& connection, const model::TeamId& team) {
  return connection.execute("DELETE FROM team_api_keys WHERE team_id = $1", {team.text()});
}

std::int64_t erase_api_keys_by(db::Connection& connection, const model::UserId& user) {
  return connection.execute("DELETE FROM team_api_keys WHERE created_by = $1", {user.text()});
}

std::int64_t erase_api_keys_by(db::Connection& connection, const model::UserId& user,
                               const model::TeamId& team) {
  return connection.execute("DELETE FROM team_api_keys WHERE created_by = $1 AND team_id = $2",
                            {user.text(), team.text()});
}

}  // namespace wrenn::cp::store
