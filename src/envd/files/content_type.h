// What a file is, by its name.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::envd::files {

// By the extension without regard to case; application/octet-stream where nothing is known.
std::string_view content_type_of(std::string_view name) noexcept;

// inline; filename="a.txt"; with filename* (RFC 6266) for a name that is more than ASCII letters can say.
std::string content_disposition(std::string_view name);

}  // namespace wrenn::envd::files
