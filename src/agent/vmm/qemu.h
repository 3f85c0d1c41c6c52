// The QEMU driver: machine type microvm, KVM or TCG.
#pragma once

#include <memory>
#include <string>

#include "agent/vmm/machine.h"
#include "core/async/offload.h"
#include "core/async/scope.h"

namespace wrenn::agent::vmm {

struct QemuOptions {
  std::string binary = "qemu-system-x86_64";  // a name without a slash is looked up in PATH
  // Translated code that TCG keeps, per machine. QEMU's default of 1/4 of the guest's memory is a waste here.
  int tcg_buffer_mib = 64;
};

// Asks the binary for its version: "qemu 7.2.22". Blocks. Throws Error(failed_precondition) with the remedy
// when QEMU is not installed or too old (7.0: the saved state of a paused machine without releasing its
// disks).
std::string find_qemu_version(const std::string& binary);

// `scope` owns the coroutines that listen to the machines: the agent joins it after the last Machine is
// destroyed. `blocking` runs fork and exec. Both outlive the driver and its machines. `version` as found
// above.
std::unique_ptr<Vmm> make_qemu(async::Scope& scope, async::ThreadPool& blocking, QemuOptions options,
                               std::string version);

}  // namespace wrenn::agent::vmm
