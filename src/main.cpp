// argv → role. As process 1 of an initramfs, and as `envd` inside a guest, the executable is known by its name;
// everything else is a command.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "core/base/error.h"
#include "envd/run.h"
#include "guest/initramfs_init.h"

namespace {

// Every boot waits for this, so it goes past the parser of commands: without hardware virtualisation each block of
// code that runs for the first time costs 25 us, and those of the commands are a quarter of envd's start.
int run_envd_in_guest() {
  try {
    wrenn::envd::run({.in_guest = true});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "envd: %s\n", wrenn::describe(error).c_str());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view path = argc > 0 ? argv[0] : "wrenn";
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (getpid() == 1 && path == "/init") return wrenn::guest::run_initramfs_init();
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of a write, not the end of the process
  if (name == "envd" && argc == 1) return run_envd_in_guest();
  std::vector<const char*> arguments(argv, argv + argc);
  if (name == "envd") {
    const char* const as_command[] = {"wrenn", "envd", "--in-guest"};
    arguments.erase(arguments.begin());
    arguments.insert(arguments.begin(), std::begin(as_command), std::end(as_command));
  }
  return wrenn::cli::run(static_cast<int>(arguments.size()), arguments.data());
}
