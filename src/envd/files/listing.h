// The contents of a directory, as the JSON of a ListDirResponse.
#pragma once

#include <cstdint>
#include <string>

namespace wrenn::envd::files {

// Down to `depth` levels (1: the directory's own entries), each directory's entries in the order of their
// bytes and followed by what is below; links are shown, not followed, but for `path` itself. Paths begin with
// `path`. Entries that vanish meanwhile are left out. Blocks. Throws Error(not_found),
// Error(invalid_argument) when it is no directory, Error(resource_exhausted) beyond limits::kListEntries or
// kListBytes, SystemError.
std::string list_json(const std::string& path, std::uint32_t depth);

}  // namespace wrenn::envd::files
