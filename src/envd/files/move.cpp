#include "envd/files/move.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "envd/files/directories.h"
#include "envd/files/path_error.h"
#include "envd/files/paths.h"
#include "envd/files/temporary_name.h"
#include "envd/limits.h"
#include "linux/command.h"
#include "linux/file.h"

namespace wrenn::envd::files {

namespace {

[[noreturn]] void throw_rename_error(int error, const std::string& source, const std::string& destination) {
  const std::string from = sanitize_utf8(source), to = sanitize_utf8(destination);
  switch (error) {
    case ENOTEMPTY:
    case EEXIST:
      throw_error(ErrorCode::already_exists, "directory '{}' exists and is not empty", to);
    case EISDIR:
    case ENOTDIR:
      throw_error(ErrorCode::invalid_argument, "'{}' and '{}' are not both directories or both files", from,
                  to);
    case EINVAL:
      throw_error(ErrorCode::invalid_argument, "'{}' cannot be moved into itself, to '{}'", from, to);
    default:
      throw SystemError(error, fmt::format("move '{}' to '{}'", from, to));
  }
}

// cp knows more of attributes, holes and hard links than is worth repeating here, and every guest has one.
void copy_over(const std::string& source, const std::string& destination) {
  const std::string copy = parent(destination) + "/" + std::string(kMovePrefix) + random_hex(8);
  const ScopeGuard cleanup([&copy] {
    try {
      sys::remove_tree(copy);
    } catch (const Error&) {  // what cannot be removed stays, with a name that says what it was
    }
  });
  sys::SpawnOptions options;
  options.argv = {"cp", "-a", "-T", "--", source, copy};
  const auto result = sys::run_command(options, {}, limits::kCopyTime);
  if (!result.status.success()) {
    const bool full = result.error.find("No space left") != std::string::npos;
    throw_error(full ? ErrorCode::resource_exhausted : ErrorCode::internal, "copy '{}' to '{}': {}",
                sanitize_utf8(source), sanitize_utf8(destination), sanitize_utf8(trim(result.error)));
  }
  if (::rename(copy.c_str(), destination.c_str()) != 0) throw_rename_error(errno, source, destination);
  sys::remove_tree(source);
}

}  // namespace

void move_tree(const std::string& source, const std::string& destination, const User& user) {
  struct stat info{};
  if (::lstat(source.c_str(), &info) != 0) throw_path_error("look at", source);
  auto made = MadeDirectories::make(parent(destination), user);
  if (::rename(source.c_str(), destination.c_str()) != 0) {
    if (errno != EXDEV) throw_rename_error(errno, source, destination);
    copy_over(source, destination);
  }
  made.keep();
}

}  // namespace wrenn::envd::files
