// How a client wants a file: Accept-Encoding (RFC 9110 §12.5.3).
#pragma once

#include <optional>
#include <string_view>

namespace wrenn::envd::files {

struct AcceptedCodings {
  bool identity = true;
  bool gzip = false;
  bool prefers_gzip = false;  // at least as much as identity
};

// Without the field the file goes as it is. A malformed item counts as absent.
AcceptedCodings accepted_codings(std::optional<std::string_view> field);

}  // namespace wrenn::envd::files
