// The user's terminal while a guest's program uses it.
#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>

namespace wrenn::cli {

struct WindowSize {
  std::uint32_t cols = 80;
  std::uint32_t rows = 24;
};

bool is_terminal(int fd) noexcept;
WindowSize window_size() noexcept;  // 80×24 when it cannot be known

// Raw mode while it lives: keys such as Ctrl-C go to the guest as bytes.
class RawMode {
 public:
  RawMode();  // does nothing if standard input is no terminal
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  std::optional<termios> saved_;
};

}  // namespace wrenn::cli
