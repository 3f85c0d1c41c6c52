#include "linux/temp_dir.h"

#include <stdlib.h>

#include <exception>
#include <utility>

#include "core/base/error.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::sys {

TempDir TempDir::create(const std::string& prefix) {
  std::string path = prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw_errno("create a temporary directory {}", path);
  return TempDir(std::move(path));
}

TempDir::TempDir(TempDir&& other) noexcept : path_(other.release()) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  if (this != &other) {
    reset();
    path_ = other.release();
  }
  return *this;
}

TempDir::~TempDir() {
  reset();
}

std::string TempDir::release() noexcept {
  return std::exchange(path_, std::string());
}

void TempDir::reset() noexcept {
  const std::string path = release();
  if (path.empty()) return;
  try {
    remove_tree(path);
  } catch (const std::exception& error) {
    log::warn("temporary directory stays", {{"path", path}, {"error", error.what()}});
  }
}

}  // namespace wrenn::sys
