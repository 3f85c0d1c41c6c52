#include "envd/files/directories.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/files/paths.h"

namespace wrenn::envd::files {

MadeDirectories::~MadeDirectories() {
  for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) ::rmdir(path->c_str());
}

MadeDirectories MadeDirectories::make(const std::string& path, const User& user) {
  std::vector<std::string> missing;
  for (std::string at = path;; at = parent(at)) {
    struct stat info{};
    if (::stat(at.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) break;
      throw_error(ErrorCode::invalid_argument, "path '{}' is not a directory", sanitize_utf8(at));
    }
    if (errno == ENOTDIR) {
      missing.clear();  // whatever is above will tell
    } else if (errno != ENOENT) {
      throw_errno("look at '{}'", sanitize_utf8(at));
    }
    missing.push_back(at);
    if (at == "/") break;
  }
  MadeDirectories made;
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (::mkdir(at->c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;  // somebody was faster, or it is a dangling link, which fails below it
      throw_errno("make directory '{}'", sanitize_utf8(*at));
    }
    made.paths_.push_back(*at);
    if (::lchown(at->c_str(), user.uid, user.gid) != 0)
      throw_errno("give directory '{}' to user {}", sanitize_utf8(*at), user.name);
  }
  return made;
}

}  // namespace wrenn::envd::files
