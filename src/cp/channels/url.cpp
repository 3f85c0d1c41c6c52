#include "cp/channels/url.h"

#include <algorithm>
#include <cstdint>

#include "core/base/text.h"

namespace wrenn::cp::channels {

std::optional<Url> parse_url(std::string_view text) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!std::all_of(text.begin(), text.end(), printable) || text.find('#') != text.npos) return std::nullopt;
  Url url;
  const auto mark = text.find("://");
  if (mark == text.npos) return std::nullopt;
  url.scheme = to_lower(text.substr(0, mark));
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  text.remove_prefix(mark + 3);

  const auto end = std::min(text.find_first_of("/?"), text.size());
  auto authority = text.substr(0, end);
  auto path = text.substr(end);
  if (authority.find_first_of("@\\") != authority.npos) return std::nullopt;
  // "[::1]:80": the last colon behind a bracket.
  const auto colon = authority.rfind(':');
  if (colon != authority.npos && authority.find(']', colon) == authority.npos) {
    const auto port = parse_int<std::uint16_t>(authority.substr(colon + 1));
    if (!port || *port == 0) return std::nullopt;
    url.has_port = true;
    authority = authority.substr(0, colon);
  }
  if (authority.empty()) return std::nullopt;
  url.host = to_lower(authority);

  const auto query = path.find('?');
  if (query != path.npos) {
    url.has_query = true;
    path = path.substr(0, query);
  }
  if (path.starts_with('/')) path.remove_prefix(1);
  if (!path.empty())
    for (const auto segment : split(path, '/')) url.segments.emplace_back(segment);
  return url;
}

}  // namespace wrenn::cp::channels
