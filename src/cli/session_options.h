// The flags that `run`, `capsule exec` and `capsule shell` share.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace CLI {
class App;
}

namespace wrenn::cli {

struct SessionFlags {
  std::vector<std::string> command;
  std::vector<std::string> envs;  // "NAME=value"
  std::string cwd;
  std::string user;
  bool terminal = false;
  bool interactive = false;
};

// -i, -t, -e, -w, -u and the command after "--".
void add_session_flags(CLI::App& command, SessionFlags& flags);

// Throws Error(invalid_argument) for a -e without '=' and for -t without a terminal.
SessionOptions session_options(const SessionFlags& flags);

}  // namespace wrenn::cli
