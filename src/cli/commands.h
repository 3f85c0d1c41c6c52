// The command groups. Each adds its subcommands to the tree; the chosen one stores what to do in `action`.
#pragma once

#include <functional>

#include "cli/endpoint.h"

namespace CLI {
class App;
}

namespace wrenn::cli {

struct Context {
  EndpointOptions endpoint;
  bool json = false;
  bool log_level_given = false;  // by --log-level: it wins over the settings of a role
  std::function<int()> action;  // set by the parsed subcommand; returns the exit code
};

void add_run_command(CLI::App& app, Context& context);
void add_capsule_commands(CLI::App& app, Context& context);
void add_fork_commands(CLI::App& capsule_group, Context& context);  // fork, checkpoint, checkpoints, rollback
void add_snapshot_commands(CLI::App& app, Context& context);
void add_file_commands(CLI::App& app, Context& context);
void add_doctor_command(CLI::App& app, Context& context);
void add_admin_commands(CLI::App& app, Context& context);
void add_role_commands(CLI::App& app, Context& context);

}  // namespace wrenn::cli
