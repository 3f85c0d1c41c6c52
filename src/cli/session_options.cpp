#include "cli/session_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/terminal.h"
#include "core/base/error.h"

namespace wrenn::cli {

void add_session_flags(CLI::App& command, SessionFlags& flags) {
  command.add_flag("-i,--interactive", flags.interactive, "Pass standard input on");
  command.add_flag("-t,--tty", flags.terminal, "Give the command a terminal");
  command.add_option("-e,--env", flags.envs, "NAME=value for the command; may be repeated")->take_all()->expected(1)->allow_extra_args(false);
  command.add_option("-w,--workdir", flags.cwd, "Working directory inside the capsule");
  command.add_option("-u,--user", flags.user, "User inside the capsule");
  command.add_option("command", flags.command, "Command and its arguments, after --")->required()->expected(-1);
}

SessionOptions session_options(const SessionFlags& flags) {
  SessionOptions options;
  options.command = flags.command;
  options.cwd = flags.cwd;
  options.user = flags.user;
  options.terminal = flags.terminal;
  options.keep_stdin = flags.interactive;
  for (const auto& pair : flags.envs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      throw_error(ErrorCode::invalid_argument, "-e {}: must be NAME=value", pair);
    options.envs[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (options.terminal && options.keep_stdin && !is_terminal(STDIN_FILENO))
    throw_error(ErrorCode::invalid_argument, "-t with -i needs a terminal as standard input; leave -t out for pipes");
  return options;
}

}  // namespace wrenn::cli
