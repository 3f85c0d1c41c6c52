#include "linux/pty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "core/base/error.h"

namespace wrenn::sys {

Pty open_pty(WindowSize size) {
  Pty pty;
  pty.controller = open_file("/dev/ptmx", O_RDWR | O_NOCTTY);
  const int unlocked = 0;
  if (::ioctl(pty.controller.get(), TIOCSPTLCK, &unlocked) < 0) throw_errno("unlock the pseudo terminal");
  const int terminal = ::ioctl(pty.controller.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) throw_errno("open the peer of the pseudo terminal");
  pty.terminal = Fd::adopt(terminal);
  set_window_size(pty.controller, size);
  return pty;
}

void set_window_size(FdView pty, WindowSize size) {
  const winsize value{size.rows, size.columns, 0, 0};
  if (::ioctl(pty.get(), TIOCSWINSZ, &value) < 0) throw_errno("set the window size of a terminal");
}

WindowSize window_size(FdView pty) {
  winsize value{};
  if (::ioctl(pty.get(), TIOCGWINSZ, &value) < 0) throw_errno("ask for the window size of a terminal");
  return {value.ws_row, value.ws_col};
}

}  // namespace wrenn::sys
