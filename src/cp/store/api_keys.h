// API keys of teams.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct ApiKey {
  model::ApiKeyId id;
  model::TeamId team;
  std::string name;
  std::string hash;    // SHA-256 of the key, hex
  std::string prefix;  // first 10 characters of the key
  UnixTime created_at;
  std::optional<model::UserId> created_by;  // absent: made by the program itself
  std::optional<UnixTime> last_used;
};

// All throw as db::Connection::query().
void insert_api_key(db::Connection& connection, const ApiKey& key);
// Absent for an unknown key and for one of a deleted team.
std::optional<ApiKey> find_api_key(db::Connection& connection, const std::string& hash);
void set_api_key_used(db::Connection& connection, const model::ApiKeyId& id, UnixTime at);

struct ListedApiKey {
  ApiKey key;
  std::string creator_email;  // empty: nobody, or his account is gone
};
// Newest first.
std::vector<ListedApiKey> api_keys_of(db::Connection& connection, const model::TeamId& team);

// Each returns how many there were.
std::int64_t erase_api_key(db::Connection& connection, const model::TeamId& team, const model::ApiKeyId& id);
std::int64_t erase_api_keys_of_team(db::Connection& connection, const model::TeamId& team);
// Those that he made, in all teams or in one.
std::int64_t erase_api_keys_by(db::Connection& connection, const model::UserId& user);
std::int64_t erase_api_keys_by(db::Connection& connection, const model::UserId& user,
                               const model::TeamId& team);

}  // namespace wrenn::cp::store
