// What a failed system call on a path says to the client.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::envd::files {

// Throws with the current errno: ENOENT → not_found "path '…' does not exist"; what is wrong with the path
// itself (not a directory, too long, too many links, a directory) → invalid_argument; otherwise SystemError
// "<what> '…': …".
[[noreturn]] void throw_path_error(std::string_view what, const std::string& path);

}  // namespace wrenn::envd::files
