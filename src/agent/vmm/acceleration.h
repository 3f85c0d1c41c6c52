// Does hardware virtualisation really work here? The device node alone says nothing: on some machines
// (nested, or with a restricted host) /dev/kvm opens and a stock guest kernel then hangs. So the kernel that
// capsules will run is booted once, with a deadline, and the answer is remembered until the machine, the VMM
// or the kernel changes.
#pragma once

#include <string>

#include "agent/vmm/machine.h"

namespace wrenn::agent::vmm {

struct AccelerationAnswer {
  Acceleration kind = Acceleration::tcg;
  std::string why;  // "the guest kernel booted in 210 ms", "/dev/kvm: Permission denied; …": with the remedy
};

struct AccelerationProbe {
  std::string vmm_binary;    // qemu-system-x86_64
  std::string vmm_version;   // part of what the remembered answer depends on
  std::string kernel;        // the kernel that capsules boot
  std::string record_path;   // DIR/acceleration.json; empty: neither read nor written
  bool probe_again = false;  // do not believe the record
};

// Blocks up to limits::kProbeTimeout the first time, some microseconds later. Never throws for a KVM that
// does not work, that is an answer; throws SystemError when the record cannot be written. For a thread of the
// sys pool.
AccelerationAnswer find_acceleration(const AccelerationProbe& probe);

}  // namespace wrenn::agent::vmm
