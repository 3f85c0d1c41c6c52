#include "cp/store/users.h"

#include <fmt/format.h>

#include "cp/store/columns.h"

namespace wrenn::cp::store {

std::string_view to_string(UserStatus status) noexcept {
  switch (status) {
    case UserStatus::inactive:
      return "inactive";
    case UserStatus::active:
      return "active";
    case UserStatus::disabled:
      return "disabled";
    case UserStatus::deleted:
      return "deleted";
  }
  return "";
}

UserStatus stored_status(std::string_view text) {
  for (const auto status :
       {UserStatus::inactive, UserStatus::active, UserStatus::disabled, UserStatus::deleted})
    if (to_string(status) == text) return status;
  throw_error(ErrorCode::data_loss, "the database holds the unknown status \"{}\" of a user", text);
}

static constexpr std::string_view kColumns =
    "id, email, password_hash, name, is_admin, status, created_at, updated_at, deleted_at";

static User read_user(const db::Row& row) {
  User user;
  user.id = stored_id<model::UserId>(row.text(0));
  user.email = row.text(1);
  if (!row.is_null(2)) user.password_hash = row.text(2);
  user.name = row.text(3);
  user.is_admin = row.integer(4) != 0;
  user.status = stored_status(row.text(5));
  user.created_at = UnixTime{row.integer(6)};
  user.updated_at = UnixTime{row.integer(7)};
  user.deleted_at = optional_time(row, 8);
  return user;
}

static std::vector<User> query_users(db::Connection& connection, std::string_view rest,
                                     const std::vector<db::Param>& params) {
  std::vector<User> users;
  const auto sql = fmt::format("SELECT {} FROM users {}", kColumns, rest);
  connection.query(sql, params, [&](const db::Row& row) { users.push_back(read_user(row)); });
  return users;
}

void insert_user(db::Connection& connection, const User& user) {
  connection.execute(
      "INSERT INTO users (id, email, password_hash, name, is_admin, status, created_at, updated_at, "
      "deleted_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {user.id.text(), user.email, user.password_hash, user.name, user.is_admin, to_string(user.status),
       user.created_at.us, user.updated_at.us, to_param(user.deleted_at)});
}

std::optional<User> find_user(db::Connection& connection, const model::UserId& id) {
  return only(query_users(connection, "WHERE id = $1", {id.text()}));
}

std::optional<User> find_user(db::Connection& connection, std::string_view email) {
  return only(query_users(connection, "WHERE email = $1 AND status <> 'deleted'", {email}));
}

void set_user_name(db::Connection& connection, const model::UserId& id, std::string_view name, UnixTime at) {
  connection.execute("UPDATE users SET name = $2, updated_at = $3 WHERE id = $1", {id.text(), name, at.us});
}

void set_user_password(db::Connection& connection, const model::UserId& id, std::string_view hash,
                       UnixTime at) {
  connection.execute("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1",
                     {id.text(), hash, at.us});
}

void clear_user_password(db::Connection& connection, const model::UserId& id, UnixTime at) {
  connection.execute("UPDATE users SET password_hash = NULL, updated_at = $2 WHERE id = $1",
                     {id.text(), at.us});
}

void set_user_status(db::Connection& connection, const model::UserId& id, UserStatus status, UnixTime at) {
  std::optional<std::int64_t> deleted_at;
  if (status == UserStatus::deleted) deleted_at = at.us;
  connection.execute("UPDATE users SET status = $2, updated_at = $3, deleted_at = $4 WHERE id = $1",
                     {id.text(), to_string(status), at.us, deleted_at});
}

void set_user_admin(db::Connection& connection, const model::UserId& id, bool is_admin, UnixTime at) {
  connection.execute("UPDATE users SET is_admin = $2, updated_at = $3 WHERE id = $1",
                     {id.text(), is_admin, at.us});
}

void erase_user(db::Connection& connection, const model::UserId& id) {
  connection.execute("DELETE FROM users WHERE id = $1", {id.text()});
}

std::int64_t count_active_users(db::Connection& connection) {
  return count(connection, "SELECT COUNT(*) FROM users WHERE status = 'active'");
}

std::int64_t count_active_admins(db::Connection& connection) {
  return count(connection, "SELECT COUNT(*) FROM users WHERE status = 'active' AND is_admin = 1");
}

std::vector<User> users_starting_with(db::Connection& connection, std::string_view prefix,
                                      std::int64_t limit) {
  // The wildcards of LIKE are ordinary characters of an address.
  std::string pattern;
  for (const char c : prefix) {
    if (c == '%' || c == '_' || c == '!') pattern += '!';
    pattern += c;
  }
  pattern += '%';
  return query_users(connection,
                     "WHERE status = 'active' AND email LIKE $1 ESCAPE '!' ORDER BY email LIMIT $2",
                     {pattern, limit});
}

std::vector<User> users_deleted_before(db::Connection& connection, UnixTime at, std::int64_t limit) {
  return query_users(connection, "WHERE status = 'deleted' AND deleted_at < $1 ORDER BY deleted_at LIMIT $2",
                     {at.us, limit});
}

std::vector<UserSummary> users_page(db::Connection& connection, std::int64_t offset, std::int64_t limit,
                                    std::int64_t& total) {
  total = count(connection, "SELECT COUNT(*) FROM users");
  std::vector<UserSummary> users;
  for (auto& user :
       query_users(connection, "ORDER BY created_at DESC, id LIMIT $1 OFFSET $2", {limit, offset}))
    users.push_back({std::move(user), 0, 0});
  for (auto& one : users)
    connection.query(
        "SELECT COUNT(*), COUNT(CASE WHEN m.role = 'owner' THEN 1 END) FROM users_teams m "
        "JOIN teams t ON t.id = m.team_id AND t.deleted_at IS NULL WHERE m.user_id = $1",
        {one.user.id.text()}, [&](const db::Row& row) {
          one.teams_joined = row.integer(0);
          one.teams_owned = row.integer(1);
        });
  return users;
}

// --- identities
// -----------------------------------------------------------------------------------------------------

void insert_identity(db::Connection& connection, const Identity& identity) {
  connection.execute(
      "INSERT INTO oauth_providers (provider, provider_id, user_id, email, created_at) VALUES ($1, $2, $3, "
      "$4, $5)",
      {identity.provider, identity.provider_id, identity.user.text(), identity.email,
       identity.created_at.us});
}

static std::vector<Identity> query_identities(db::Connection& connection, std::string_view rest,
                                              const std::vector<db::Param>& params) {
  std::vector<Identity> identities;
  const auto sql =
      fmt::format("SELECT provider, provider_id, user_id, email, created_at FROM oauth_providers {}", rest);
  connection.query(sql, params, [&](const db::Row& row) {
    identities.push_back({std::string(row.text(0)), std::string(row.text(1)),
                          stored_id<model::UserId>(row.text(2)), std::string(row.text(3)),
                          UnixTime{row.integer(4)}});
  });
  return identities;
}

std::optional<Identity> find_identity(db::Connection& connection, std::string_view provider,
                                      std::string_view provider_id) {
  return only(
      query_identities(connection, "WHERE provider = $1 AND provider_id = $2", {provider, provider_id}));
}

std::vector<Identity> identities_of(db::Connection& connection, const model::UserId& user) {
  return query_identities(connection, "WHERE user_id = $1 ORDER BY provider", {user.text()});
}

bool erase_identity(db::Connection& connection, const model::UserId& user, std::string_view provider) {
  return connection.execute("DELETE FROM oauth_providers WHERE user_id = $1 AND provider = $2",
                            {user.text(), provider}) > 0;
}

}  // namespace wrenn::cp::store
