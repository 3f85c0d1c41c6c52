#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace wrenn::cli {

bool is_terminal(int fd) noexcept { return isatty(fd) == 1; }

WindowSize window_size() noexcept {
  winsize size{};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) return {size.ws_col, size.ws_row};
  return {};
}

RawMode::RawMode() {
  termios mode{};
  if (tcgetattr(STDIN_FILENO, &mode) != 0) return;
  saved_ = mode;
  cfmakeraw(&mode);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
}

RawMode::~RawMode() {
  if (saved_) tcsetattr(STDIN_FILENO, TCSADRAIN, &*saved_);
}

}  // namespace wrenn::cli
