// What a caller notes down beside a file: X-Metadata-<Key> fields of an upload, kept as extended attributes
// user.e2b.<key> (spec/e2b/envd-api.md §2.2).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/http/headers.h"
#include "linux/fd.h"

namespace wrenn::envd::files {

using Metadata = std::map<std::string, std::string>;

// Keys in lower case; the first field of a key counts. Throws Error(invalid_argument) for what is not
// printable ASCII, too long, or too much.
Metadata metadata_of(const http::Headers& fields);

// Exactly `metadata`, in place of what was there. Throws Error(invalid_argument) where the file system keeps
// no attributes and there is something to keep, SystemError.
void store_metadata(sys::FdView file, const Metadata& metadata);

// What can be read of it; a symbolic link shows its target's, as an upload through it writes there.
Metadata load_metadata(const std::string& path);

// Other attributes of a file: those of user programs and its access list.
using Attributes = std::vector<std::pair<std::string, std::string>>;
Attributes load_other_attributes(const std::string& path);
// As far as that is possible.
void store_attributes(sys::FdView file, const Attributes& attributes) noexcept;

}  // namespace wrenn::envd::files
