#include "guest/load_order.h"

#include "core/base/error.h"

namespace wrenn::guest {

std::vector<std::string> parse_load_order(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    if (line.find('/') != std::string_view::npos) {
      throw_error(ErrorCode::invalid_argument,
                  "{}: '{}' is a path; it must be the name of a file beside the list", kLoadOrderFile, line);
    }
    names.emplace_back(line);
  }
  return names;
}

}  // namespace wrenn::guest
