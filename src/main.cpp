// argv → role. As process 1 of an initramfs, and as `envd` inside a guest, the executable is known by its name;
// everything else is a command.
#include <unistd.h>

#include <csignal>
#include <string_view>

#include "cli/cli.h"
#include "guest/initramfs_init.h"

int main(int argc, char** argv) {
  const std::string_view name = argc > 0 ? argv[0] : "wrenn";
  if (getpid() == 1 && name == "/init") return wrenn::guest::run_initramfs_init();
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of a write, not the end of the process
  return wrenn::cli::run(argc, argv);
}
