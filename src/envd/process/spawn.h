// Turns a request into a running process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/envd.h"
#include "envd/users.h"
#include "linux/process.h"
#include "linux/pty.h"

namespace wrenn::envd::process {

// Everything that is decided before the process exists.
struct Launch {
  api::envd::ProcessConfig config;  // as asked
  std::optional<std::string> tag;
  std::optional<sys::WindowSize> terminal;
  bool stdin_open = true;
  User user;
  std::string cwd;               // absolute
  bool cwd_asked = false;        // otherwise "/" will do when it cannot be entered
  std::vector<std::string> env;  // "NAME=value"
};

// The descriptors that become 0, 1 and 2 of the child.
struct ChildEnds {
  sys::Fd input, output, error;
};

// Starts it as its own session, as the user, in `cgroup` (may be unset). A command that cannot be executed
// becomes a process that says so on its standard error, as a shell would, and exits with 127 (126 when it is
// there and may not be executed). Blocks until the exec is done: call from a pool thread. Throws SpawnError
// when not even that can be started, Error(invalid_argument) when the user cannot enter the working directory
// asked for.
sys::Process spawn(const Launch& launch, const ChildEnds& ends, sys::FdView cgroup);

}  // namespace wrenn::envd::process
