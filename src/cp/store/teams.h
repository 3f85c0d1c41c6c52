// Teams and their API keys.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct Team {
  model::TeamId id;
  std::string name;
  std::string slug;
  UnixTime created_at;
};

struct ApiKey {
  model::ApiKeyId id;
  model::TeamId team;
  std::string name;
  std::string hash;    // SHA-256 of the key, hex
  std::string prefix;  // first 10 characters of the key
  UnixTime created_at;
};

// All throw as db::Connection::query().
void insert_team(db::Connection& connection, const Team& team);
// The platform team, which owns the system templates; made unless it is there.
void ensure_platform_team(db::Connection& connection, UnixTime at);
// The oldest team that is neither deleted nor the platform's.
std::optional<Team> first_team(db::Connection& connection);

void insert_api_key(db::Connection& connection, const ApiKey& key);
// Absent for an unknown key and for one of a deleted team.
std::optional<ApiKey> find_api_key(db::Connection& connection, const std::string& hash);
void set_api_key_used(db::Connection& connection, const model::ApiKeyId& id, UnixTime at);

}  // namespace wrenn::cp::store
