// The kernel's command line, as far as the boot path of a guest reads it.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::guest {

struct BootOptions {
  std::string root = "/dev/vda";                   // root=
  std::string root_type = "ext4";                  // rootfstype=
  std::string root_options;                        // rootflags=
  bool read_only = false;                          // ro, rw; the last one counts
  std::string init = "/usr/local/bin/wrenn-init";  // init=
  bool trace = false;                              // wrenn.trace: print when each step was reached
};

// Unknown words are for others. A later word wins over an earlier one.
BootOptions parse_command_line(std::string_view text);

}  // namespace wrenn::guest
