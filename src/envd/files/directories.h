// Directories that are made on the way to a file.
#pragma once

#include <string>
#include <vector>

#include "envd/users.h"

namespace wrenn::envd::files {

// Those that did not exist; taken away again (deepest first, while empty) unless kept.
class MadeDirectories {
 public:
  MadeDirectories() = default;
  ~MadeDirectories();
  MadeDirectories(MadeDirectories&& other) noexcept : paths_(std::move(other.paths_)) {
    other.paths_.clear();
  }
  MadeDirectories& operator=(MadeDirectories&& other) noexcept {
    paths_.swap(other.paths_);
    return *this;
  }

  // Makes `path` and what is missing above it, mode 0755, owned by `user`. Existing ones stay as they are.
  // Throws Error(invalid_argument) when something on the way is no directory, SystemError; what was made
  // before is removed.
  static MadeDirectories make(const std::string& path, const User& user);
  void keep() noexcept { paths_.clear(); }

 private:
  std::vector<std::string> paths_;
};

}  // namespace wrenn::envd::files
