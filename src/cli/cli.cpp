#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/base/version.h"
#include "core/log/log.h"

namespace wrenn::cli {

// docker's convention: what goes wrong around a guest's command is 125, so that it differs from the command's own codes.
static constexpr int kExitOwnFailure = 125;
static constexpr int kExitUsage = 2;

int run(int argc, const char* const* argv) {
  CLI::App app("Secure infrastructure for AI agents: each piece of untrusted code in a microVM of its own.", "wrenn");
  app.set_version_flag("--version", std::string(kVersion));
  app.require_subcommand(1);
  app.fallthrough();
  Context context;
  std::string log_level;
  app.add_option("--url", context.endpoint.url, "Control plane, e.g. http://127.0.0.1:8000 [WRENN_BASE_URL]");
  app.add_option("--api-key", context.endpoint.api_key, "API key; better in WRENN_API_KEY than here, where ps shows it");
  app.add_option("--dir", context.endpoint.dir, "State directory of a local `wrenn dev` [WRENN_DIR]");
  app.add_option("--log-level", log_level, "debug, info, warn or error [LOG_LEVEL]");
  app.add_flag("--json", context.json, "JSON for programs instead of a table");

  add_run_command(app, context);
  add_capsule_commands(app, context);
  add_snapshot_commands(app, context);
  add_file_commands(app, context);
  add_doctor_command(app, context);
  add_admin_commands(app, context);
  add_role_commands(app, context);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  context.log_level_given = !log_level.empty();
  if (context.log_level_given && !log::set_level(std::string_view(log_level))) {
    std::fprintf(stderr, "wrenn: --log-level %s: must be debug, info, warn or error\n", log_level.c_str());
    return kExitUsage;
  }
  try {
    return context.action();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wrenn: %s\n", printable(describe(error)).c_str());
    return kExitOwnFailure;
  }
}

}  // namespace wrenn::cli
