// Which file a path means: one rule for every call, for /files and for the working directory of processes
// (spec/e2b/envd-api.md §5.2). Pure: the file system is not looked at.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::envd::files {

// Without "." and empty components and without a trailing slash; ".." takes the component before it away
// (lexically), and cannot leave "/". `path` must be absolute.
std::string clean(std::string_view path);

// Empty: `workdir` if set, else `home`. "~", "~/x": in `home`. Absolute: as it is, but for repeated and
// trailing slashes (its ".." is the kernel's business, who knows the links). Relative: in `home`. `workdir`
// may be relative to home, or
// "~". Throws Error(invalid_argument) for "~other", a NUL byte, and for more than limits::kPathBytes.
std::string resolve(std::string_view path, std::string_view home, std::string_view workdir);

std::string_view base_name(std::string_view path) noexcept;  // "/a/b" → "b", "/" → "/"
std::string parent(std::string_view path);                   // "/a/b" → "/a", "/a" and "/" → "/"

}  // namespace wrenn::envd::files
