// The environment a process starts with; it inherits nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "envd/users.h"

namespace wrenn::envd::process {

// PATH (`path`, ours), HOME, USER, LOGNAME, then `defaults`, then `request`; where a name comes twice the
// later value stands, at the place of the first.
std::vector<std::string> environment(std::string_view path, const User& user,
                                     const std::map<std::string, std::string>& defaults,
                                     const std::map<std::string, std::string>& request);

// Sets `name` unless it is there.
void add_if_missing(std::vector<std::string>& env, std::string_view name, std::string_view value);

// envd's own PATH, or what a login would set when it has none.
std::string_view own_path() noexcept;

}  // namespace wrenn::envd::process
