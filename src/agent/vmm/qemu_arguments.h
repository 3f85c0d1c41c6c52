// The command line of a QEMU process, as a pure function of what it is for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/vmm/machine.h"

namespace wrenn::agent::vmm {

// QEMU gets every file as an open descriptor under one of these numbers, so it runs as a user that has no
// right to the paths, and in a namespace that has no use for them. Those that are handed on by number only
// (kQemuDisk, kQemuBacking, kQemuTap, kQemuMonitor) keep the rights they were opened with; the others are
// opened anew through /dev/fd, which checks the file's own mode.
inline constexpr int kQemuMonitor = 3;  // a listening Unix socket
inline constexpr int kQemuTap = 4;
inline constexpr int kQemuKernel = 5;
inline constexpr int kQemuInitramfs = 6;
inline constexpr int kQemuMemory = 7;
inline constexpr int kQemuDisk = 8;
inline constexpr int kQemuBacking = 9;  // and those that follow: one for each file below the disk

inline constexpr const char* kQemuConsole = "console";  // name of the character device

struct QemuInvocation {
  std::string binary;
  int tcg_buffer_mib = 0;
  bool restore = false;  // wait for a saved state instead of booting
  bool disk_is_block_device = false;
};

// The board. ACPI: Debian's kernel finds virtio-mmio devices in no other way, and such a machine has no use
// for the interrupt controller and the timer of a PC: QEMU's ticks 36 times a second, and each tick wakes an
// idle guest's vCPU [seen with KVM's trace points].
inline constexpr std::string_view kQemuBoard = "microvm,acpi=on,pic=off,pit=off,ioapic2=off";
// The kernel's own I/O APIC, and no second one. Left to itself a microvm has both in QEMU, which hears of a
// guest's EOI by an exit that KVM owes it: a machine that is paused in between (1 pause in about 200
// [tests/lab]) is saved with an interrupt in service for ever, and resumes without network or disk.
inline constexpr std::string_view kQemuKvm = "kvm,kernel-irqchip=on";

// Goes up with every change of qemu_arguments() that changes the guest's devices: a state that was saved
// before does not fit any more. Part of Vmm::version().
inline constexpr int kQemuMachine = 3;

// What the machine looks like to the guest must not depend on `restore`: the saved state only fits the same
// machine.
std::vector<std::string> qemu_arguments(const QemuInvocation& invocation, const MachineConfig& config);

// Nodes of QEMU's block graph: the image is number 0, the files above it have the next; the last is the disk.
inline constexpr std::string_view kQemuDiskPrefix = "disk-";
std::string qemu_disk_node(std::size_t number);
// For blockdev-add: an overlay, in descriptor set `set`, as the node `number`.
std::string qemu_overlay_node(int set, std::size_t number);

// "max" or "host".
std::string qemu_cpu_model(Acceleration acceleration);

}  // namespace wrenn::agent::vmm
