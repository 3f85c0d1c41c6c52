// Pseudo terminals.
#pragma once

#include <cstdint>

#include "linux/fd.h"

namespace wrenn::sys {

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

struct Pty {
  Fd controller;  // ours: what we read is what the program prints
  Fd terminal;    // the program's: pass as its stdin, stdout, stderr, then close our copy so that its end is
                  // seen
};

// Opens a pair; the terminal is reached through the controller and not through a path, so a foreign /dev/pts
// cannot get in between. It does not become our controlling terminal. Throws SystemError.
Pty open_pty(WindowSize size);
// On either end; the foreground processes get SIGWINCH. Throws SystemError.
void set_window_size(FdView pty, WindowSize size);
WindowSize window_size(FdView pty);

}  // namespace wrenn::sys
