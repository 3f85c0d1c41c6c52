// A directory that lives as long as its owner.
#pragma once

#include <string>

namespace wrenn::sys {

class TempDir {
 public:
  // Creates PREFIXxxxxxx (mode 0700), for example prefix "/var/lib/x/build-". Throws SystemError.
  static TempDir create(const std::string& prefix);
  ~TempDir();  // removes the tree; what cannot be removed is logged and stays

  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const noexcept { return path_; }
  // Keeps the directory, for example after renaming it to its final place.
  std::string release() noexcept;

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  void reset() noexcept;
  std::string path_;  // empty when there is nothing to remove
};

}  // namespace wrenn::sys
