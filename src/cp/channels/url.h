// The parts of an http or https URL that channels are judged by. The HTTP client reads it again when it
// sends.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::cp::channels {

struct Url {
  std::string scheme;  // "http", "https"
  std::string host;    // lower case, without port
  bool has_port = false;
  std::vector<std::string> segments;  // of the path
  bool has_query = false;
};

// Absent unless it is scheme://host[:port][/path][?query] in printable ASCII, without user and fragment.
std::optional<Url> parse_url(std::string_view text);

}  // namespace wrenn::cp::channels
