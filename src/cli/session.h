// One command in a capsule, with the user's standard streams attached, over a WebSocket of the control plane:
// `…/pty` with a terminal, `…/exec/stream` without. Output is passed on byte by byte exact (base64 on the wire).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/endpoint.h"

namespace wrenn::cli {

struct SessionOptions {
  std::string capsule_id;
  std::vector<std::string> command;  // not empty
  std::map<std::string, std::string> envs;
  std::string cwd;
  std::string user;
  bool terminal = false;    // -t: a PTY
  bool keep_stdin = false;  // -i: standard input is passed on until its end
};

// Returns the guest's exit code; 128 + n for a command that signal n ended. Ctrl-C and window size reach the guest;
// without a terminal SIGINT and SIGTERM are passed on as signals. Throws Error when the session fails.
int run_session(const Endpoint& endpoint, SessionOptions options);

}  // namespace wrenn::cli
