// Accounts of people, and the accounts elsewhere with which they sign in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

enum class UserStatus {
  inactive,  // has not followed the link of the activation mail yet
  active,
  disabled,  // by an admin
  deleted,   // by himself; purged after some time
};
std::string_view to_string(UserStatus status) noexcept;
// Throws Error(data_loss) for a word that is none of them.
UserStatus stored_status(std::string_view text);

struct User {
  model::UserId id;
  std::string email;                         // trimmed, lower case
  std::optional<std::string> password_hash;  // absent: signs in by a provider only
  std::string name;
  bool is_admin = false;  // of the platform
  UserStatus status = UserStatus::inactive;
  UnixTime created_at, updated_at;
  std::optional<UnixTime> deleted_at;
};

// All throw as db::Connection::query().

// Throws Error(already_exists) when the address belongs to an account that is not deleted.
void insert_user(db::Connection& connection, const User& user);
std::optional<User> find_user(db::Connection& connection, const model::UserId& id);
// Deleted accounts have no address any more.
std::optional<User> find_user(db::Connection& connection, std::string_view email);

void set_user_name(db::Connection& connection, const model::UserId& id, std::string_view name, UnixTime at);
void set_user_password(db::Connection& connection, const model::UserId& id, std::string_view hash,
                       UnixTime at);
// Nobody can sign in with a password until another is set.
void clear_user_password(db::Connection& connection, const model::UserId& id, UnixTime at);
// `deleted` sets deleted_at as well.
void set_user_status(db::Connection& connection, const model::UserId& id, UserStatus status, UnixTime at);
void set_user_admin(db::Connection& connection, const model::UserId& id, bool is_admin, UnixTime at);
// The row itself: memberships, sessions, tokens and identities go with it.
void erase_user(db::Connection& connection, const model::UserId& id);

std::int64_t count_active_users(db::Connection& connection);
std::int64_t count_active_admins(db::Connection& connection);
// Active ones whose address begins with `prefix`, at most `limit`.
std::vector<User> users_starting_with(db::Connection& connection, std::string_view prefix,
                                      std::int64_t limit);
// Deleted before `at`, at most `limit`.
std::vector<User> users_deleted_before(db::Connection& connection, UnixTime at, std::int64_t limit);

struct UserSummary {
  User user;
  std::int64_t teams_joined = 0, teams_owned = 0;
};
// Newest first; the number of all is in `total`.
std::vector<UserSummary> users_page(db::Connection& connection, std::int64_t offset, std::int64_t limit,
                                    std::int64_t& total);

struct Identity {
  std::string provider;     // "github"
  std::string provider_id;  // the provider's id of the account
  model::UserId user;
  std::string email;
  UnixTime created_at;
};
// Throws Error(already_exists) when that account is somebody's.
void insert_identity(db::Connection& connection, const Identity& identity);
std::optional<Identity> find_identity(db::Connection& connection, std::string_view provider,
                                      std::string_view provider_id);
std::vector<Identity> identities_of(db::Connection& connection, const model::UserId& user);
// False if there was none.
bool erase_identity(db::Connection& connection, const model::UserId& user, std::string_view provider);

}  // namespace wrenn::cp::store
