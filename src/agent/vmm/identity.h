// Which user a VMM runs as: one of its own for each network slot, so that no VMM can touch another's process
// or files.
#pragma once

#include "agent/vmm/machine.h"
#include "linux/process.h"

namespace wrenn::agent::vmm {

// The unprivileged user of slot `slot`; under KVM with the group of /dev/kvm. Absent when we are not root, so
// that the VMM runs as ourselves. noexcept apart from memory.
std::optional<sys::ProcessIdentity> machine_identity(int slot, Acceleration acceleration);

}  // namespace wrenn::agent::vmm
