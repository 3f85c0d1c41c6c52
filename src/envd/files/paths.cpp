#include "envd/files/paths.h"

#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"

namespace wrenn::envd::files {

namespace {

std::string without_spare_slashes(std::string_view path) {
  std::string out;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    out += '/';
    out += part;
  }
  return out.empty() ? "/" : out;
}

}  // namespace

std::string clean(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(part);
    }
  }
  std::string out;
  for (const std::string_view part : kept) {
    out += '/';
    out += part;
  }
  return out.empty() ? "/" : out;
}

std::string resolve(std::string_view path, std::string_view home, std::string_view workdir) {
  if (path.find('\0') != std::string_view::npos)
    throw_error(ErrorCode::invalid_argument, "path '{}' holds a NUL byte",
                sanitize_utf8(path.substr(0, 100)));
  if (path.size() > limits::kPathBytes)
    throw_error(ErrorCode::invalid_argument, "path of {} bytes: at most {} are possible", path.size(),
                limits::kPathBytes);
  std::string full;
  if (path.empty()) {
    if (!workdir.empty()) return resolve(workdir, home, {});
    full = clean(home);
  } else if (path.front() == '/') {
    full = without_spare_slashes(path);
  } else if (path.front() == '~') {
    if (path.size() > 1 && path[1] != '/')
      throw_error(ErrorCode::invalid_argument,
                  "path '{}': only ~ and ~/… are understood, not the home of another user",
                  sanitize_utf8(path));
    full = clean(std::string(home) + "/" + std::string(path.substr(1)));
  } else {
    full = clean(std::string(home) + "/" + std::string(path));
  }
  if (full.size() > limits::kPathBytes)
    throw_error(ErrorCode::invalid_argument, "path of {} bytes: at most {} are possible", full.size(),
                limits::kPathBytes);
  return full;
}

std::string_view base_name(std::string_view path) noexcept {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos || path.size() == 1) return path;
  return path.substr(slash + 1);
}

std::string parent(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

}  // namespace wrenn::envd::files
