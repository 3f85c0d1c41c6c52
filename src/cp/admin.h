// What `wrenn admin` does: on the database itself, with or without a control plane running on it. All block
// and throw Error with what to do.
#pragma once

#include <optional>
#include <string>

#include "core/base/secret.h"
#include "cp/config.h"
#include "cp/key_rotation.h"

namespace wrenn::cp {

struct NewUser {
  std::string email, name;
  Secret password;     // empty: one is made up
  bool admin = false;  // of the platform
};
struct MadeUser {
  std::string id, email, team;
  Secret password;  // what was made up; empty if it was given
};
// An active account with a team of its own.
MadeUser create_user(const Config& config, NewUser user);
void grant_admin(const Config& config, const std::string& email);
// As if its owner had followed the link of the activation mail, or an admin had enabled it again.
void activate_user(const Config& config, const std::string& email);
// Where the copy is; absent where the database has tools of its own for that (pg_dump).
std::optional<std::string> backup(const Config& config);

}  // namespace wrenn::cp
