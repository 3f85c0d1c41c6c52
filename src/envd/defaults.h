// What the host decided for everything that runs here: environment, user, working directory. Set by POST
// /init.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/http/message.h"
#include "envd/users.h"

namespace wrenn::envd {

struct Defaults {
  std::map<std::string, std::string> env;
  std::string user;     // of requests that name none
  std::string workdir;  // empty: the user's home
};

// Throws Error(invalid_argument) that names the variable when a name or value cannot be in an environment, or
// when there are too many.
void check_env(const std::map<std::string, std::string>& env);

// The user a request acts as: `name` (a query parameter), else its Basic header, else the default. Throws as
// find_user() and basic_user().
User user_of(const http::Request& request, const Defaults& defaults,
             std::optional<std::string> name = std::nullopt);

}  // namespace wrenn::envd
