// The environment of the process, behind a function so that tests bring their own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace wrenn::config {

// Absent when the variable is unset or empty: `WRENN_X= wrenn cp` means "as if it were not there".
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Reads the environment as it is at each call. Not safe against setenv() of another thread, which wrenn never
// calls.
Environment process_environment();
Environment environment_of(std::map<std::string, std::string> variables);

}  // namespace wrenn::config
