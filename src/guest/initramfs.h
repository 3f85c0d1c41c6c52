// The initramfs of a capsule: a small archive that the kernel unpacks into memory and whose /init
// (initramfs_init.h) loads the drivers that Debian's cloud kernel has as modules, then goes on to the root
// disk. A kernel with those drivers built in needs none of this.
#pragma once

#include <string>

namespace wrenn::guest {

struct InitramfsOptions {
  std::string output;       // replaced atomically
  std::string modules;      // directory with *.ko and `load-order`, one file name a line
  std::string init_binary;  // a static executable; becomes /init
};

// Writes a newc cpio archive; the same inputs give the same bytes. Throws Error (bad load-order) and
// SystemError.
void write_initramfs(const InitramfsOptions& options);

}  // namespace wrenn::guest
