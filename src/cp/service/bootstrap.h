// The first team and its key, made when `wrenn dev` starts for the first time.
#pragma once

#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp {

struct DevCredentials {
  model::TeamId team;
  Secret api_key;
  bool created = false;  // the key is new: write it down, it cannot be read again
};

// `known_key` (from dev.json, may be empty) is kept when the database knows it; otherwise another key is
// made, and a team if there is none. The schema must be there (store::migrate). Blocking; throws what the
// database throws.
DevCredentials bootstrap_dev(db::Database& database, const std::string& known_key);

}  // namespace wrenn::cp
