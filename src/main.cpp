// argv → role. As process 1 of an initramfs, and as `envd` inside a guest, the executable is known by its name;
// everything else is a command.
#include <unistd.h>

#include <csignal>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "guest/initramfs_init.h"

int main(int argc, char** argv) {
  const std::string_view path = argc > 0 ? argv[0] : "wrenn";
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (getpid() == 1 && path == "/init") return wrenn::guest::run_initramfs_init();
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of a write, not the end of the process
  std::vector<const char*> arguments(argv, argv + argc);
  if (name == "envd") {
    const char* const as_command[] = {"wrenn", "envd", "--in-guest"};
    arguments.erase(arguments.begin());
    arguments.insert(arguments.begin(), std::begin(as_command), std::end(as_command));
  }
  return wrenn::cli::run(static_cast<int>(arguments.size()), arguments.data());
}
