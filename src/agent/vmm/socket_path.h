// A Unix socket's address holds 107 bytes; a path in a deep data directory may be longer. Through a
// descriptor of its directory any socket has a short name.
#pragma once

#include <string>

#include "linux/fd.h"

namespace wrenn::agent::vmm {

// `text()` stands for `path` in bind() and connect() while this lives.
class SocketPath {
 public:
  // Throws SystemError when the directory of a long path cannot be opened.
  explicit SocketPath(const std::string& path);
  const std::string& text() const noexcept { return text_; }

 private:
  sys::Fd directory_;
  std::string text_;
};

}  // namespace wrenn::agent::vmm
