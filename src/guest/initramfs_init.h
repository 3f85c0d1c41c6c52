// The role of the program as /init of the initramfs, PID 1 of a guest until it becomes wrenn-init.
#pragma once

namespace wrenn::guest {

// Loads the modules, mounts the root disk and becomes the init program that the kernel command line names.
// Returns only when that failed: the reason is on the console then, and the machine is restarting (its VMM
// ends instead).
int run_initramfs_init() noexcept;

}  // namespace wrenn::guest
