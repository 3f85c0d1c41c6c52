#include "envd/files/path_error.h"

#include <cerrno>

#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::envd::files {

void throw_path_error(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string shown = sanitize_utf8(path);
  switch (error) {
    case ENOENT:
      throw_error(ErrorCode::not_found, "path '{}' does not exist", shown);
    case ENOTDIR:
      throw_error(ErrorCode::invalid_argument, "path '{}': a component of it is not a directory", shown);
    case ENAMETOOLONG:
      throw_error(ErrorCode::invalid_argument, "path '{}': a name in it is too long", shown);
    case ELOOP:
      throw_error(ErrorCode::invalid_argument, "path '{}': too many symbolic links", shown);
    case EISDIR:
      throw_error(ErrorCode::invalid_argument, "path '{}' is a directory", shown);
    default:
      throw SystemError(error, fmt::format("{} '{}'", what, shown));
  }
}

}  // namespace wrenn::envd::files
