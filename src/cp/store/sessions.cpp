#include "cp/store/sessions.h"

#include "cp/store/columns.h"
#include "cp/store/teams.h"

namespace wrenn::cp::store {

void insert_session(db::Connection& connection, const Session& session) {
  connection.execute(
      "INSERT INTO sessions (token_hash, user_id, team_id, created_at, used_at, expires_at) "
      "VALUES ($1, $2, $3, $4, $5, $6)",
      {session.token_hash, session.user.text(), session.team.text(), session.created_at.us,
       session.used_at.us, session.expires_at.us});
}

std::optional<LiveSession> find_session(db::Connection& connection, const std::string& token_hash) {
  std::optional<LiveSession> found;
  connection.query(
      "SELECT s.user_id, s.team_id, s.created_at, s.used_at, s.expires_at, u.email, u.name, u.is_admin, "
      "u.status, m.role "
      "FROM sessions s JOIN users u ON u.id = s.user_id "
      "LEFT JOIN teams t ON t.id = s.team_id AND t.deleted_at IS NULL "
      "LEFT JOIN users_teams m ON m.team_id = t.id AND m.user_id = s.user_id WHERE s.token_hash = $1",
      {token_hash}, [&](const db::Row& row) {
        auto& live = found.emplace();
        live.session = {token_hash,
                        stored_id<model::UserId>(row.text(0)),
                        stored_id<model::TeamId>(row.text(1)),
                        UnixTime{row.integer(2)},
                        UnixTime{row.integer(3)},
                        UnixTime{row.integer(4)}};
        live.email = row.text(5);
        live.name = row.text(6);
        live.is_admin = row.integer(7) != 0;
        live.status = stored_status(row.text(8));
        if (!row.is_null(9)) live.role = stored_role(row.text(9));
      });
  return found;
}

void set_session_used(db::Connection& connection, const std::string& token_hash, UnixTime at) {
  connection.execute("UPDATE sessions SET used_at = $2 WHERE token_hash = $1", {token_hash, at.us});
}

void set_session_team(db::Connection& connection, const std::string& token_hash, const model::TeamId& team) {
  connection.execute("UPDATE sessions SET team_id = $2 WHERE token_hash = $1", {token_hash, team.text()});
}

void erase_session(db::Connection& connection, const std::string& token_hash) {
  connection.execute("DELETE FROM sessions WHERE token_hash = $1", {token_hash});
}

void erase_sessions_of(db::Connection& connection, const model::UserId& user,
                       const std::string& but_token_hash) {
  connection.execute("DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2",
                     {user.text(), but_token_hash});
}

void erase_sessions_in(db::Connection& connection, const model::TeamId& team) {
  connection.execute("DELETE FROM sessions WHERE team_id = $1", {team.text()});
}

void erase_sessions_in(db::Connection& connection, const model::TeamId& team, const model::UserId& user) {
  connection.execute("DELETE FROM sessions WHERE team_id = $1 AND user_id = $2", {team.text(), user.text()});
}

void prune_sessions(db::Connection& connection, UnixTime used_before, UnixTime at) {
  connection.execute("DELETE FROM sessions WHERE used_at < $1 OR expires_at < $2", {used_before.us, at.us});
}

void insert_one_time_token(db::Connection& connection, const OneTimeToken& token) {
  std::optional<std::string> user;
  if (token.user) user = token.user->text();
  connection.execute(
      "INSERT INTO one_time_tokens (token_hash, purpose, user_id, payload, expires_at) VALUES ($1, $2, $3, "
      "$4, $5)",
      {token.token_hash, token.purpose, user, token.payload, token.expires_at.us});
}

std::optional<OneTimeToken> take_one_time_token(db::Connection& connection, const std::string& token_hash,
                                                std::string_view purpose, UnixTime at) {
  std::optional<OneTimeToken> token;
  connection.query(
      "DELETE FROM one_time_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3 "
      "RETURNING user_id, payload, expires_at",
      {token_hash, purpose, at.us}, [&](const db::Row& row) {
        token = OneTimeToken{token_hash, std::string(purpose), std::nullopt, std::string(row.text(1)),
                             UnixTime{row.integer(2)}};
        if (!row.is_null(0)) token->user = stored_id<model::UserId>(row.text(0));
      });
  return token;
}

void erase_one_time_tokens_of(db::Connection& connection, const model::UserId& user,
                              std::string_view purpose) {
  connection.execute("DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2",
                     {user.text(), purpose});
}

void prune_one_time_tokens(db::Connection& connection, UnixTime at) {
  connection.execute("DELETE FROM one_time_tokens WHERE expires_at < $1", {at.us});
}

}  // namespace wrenn::cp::store
