// The kernel's command line of a capsule.
#pragma once

#include <cstdint>
#include <string>

#include "agent/vmm/machine.h"

namespace wrenn::agent::vmm {

struct BootParameters {
  Acceleration acceleration = Acceleration::tcg;
  std::uint32_t tsc_khz = 0;  // TCG only: host_tsc_khz()
  std::string init = "/usr/local/bin/wrenn-init";
  // A kernel with its own IP autoconfiguration (CONFIG_IP_PNP) sets up eth0 by itself; with an initramfs of
  // ours that one does it, and the word is harmless.
  bool configure_network = true;
  bool verbose_console = false;  // all kernel messages on the console: slow, for looking at a boot that fails
  std::string more;              // appended as it is: operator's own words
};

// Throws nothing but for memory.
std::string kernel_command_line(const BootParameters& parameters);

}  // namespace wrenn::agent::vmm
