// Sessions of users, and tokens that are good for one use.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "cp/store/users.h"
#include "model/ids.h"
#include "model/role.h"

namespace wrenn::cp::store {

struct Session {
  std::string token_hash;  // SHA-256 of the token, hex
  model::UserId user;
  model::TeamId team;  // the active one
  UnixTime created_at, used_at, expires_at;
};

// All throw as db::Connection::query().
void insert_session(db::Connection& connection, const Session& session);

// A session with what is true of its user at this moment.
struct LiveSession {
  Session session;
  std::string email, name;
  bool is_admin = false;
  UserStatus status = UserStatus::inactive;
  std::optional<model::Role> role;  // in the active team; absent: no member (any more), or it is deleted
};
std::optional<LiveSession> find_session(db::Connection& connection, const std::string& token_hash);
void set_session_used(db::Connection& connection, const std::string& token_hash, UnixTime at);
void set_session_team(db::Connection& connection, const std::string& token_hash, const model::TeamId& team);

void erase_session(db::Connection& connection, const std::string& token_hash);
// All of a user, or all but one.
void erase_sessions_of(db::Connection& connection, const model::UserId& user,
                       const std::string& but_token_hash = {});
// Those whose active team it is: all of them, or a user's.
void erase_sessions_in(db::Connection& connection, const model::TeamId& team);
void erase_sessions_in(db::Connection& connection, const model::TeamId& team, const model::UserId& user);
// Not used since `used_before`, or expired.
void prune_sessions(db::Connection& connection, UnixTime used_before, UnixTime at);

struct OneTimeToken {
  std::string token_hash;
  std::string purpose;
  std::optional<model::UserId> user;
  std::string payload;
  UnixTime expires_at;
};
inline constexpr std::string_view kActivation = "activation", kPasswordReset = "password_reset",
                                  kOauth = "oauth";
void insert_one_time_token(db::Connection& connection, const OneTimeToken& token);
// Takes it away: of two who come with the same one, one gets it. Absent for an unknown or expired one.
std::optional<OneTimeToken> take_one_time_token(db::Connection& connection, const std::string& token_hash,
                                                std::string_view purpose, UnixTime at);
void erase_one_time_tokens_of(db::Connection& connection, const model::UserId& user,
                              std::string_view purpose);
void prune_one_time_tokens(db::Connection& connection, UnixTime at);

}  // namespace wrenn::cp::store
