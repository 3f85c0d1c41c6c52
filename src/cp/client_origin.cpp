#include "cp/client_origin.h"

#include <algorithm>

#include "core/base/text.h"

namespace wrenn::cp {

// "127.0.0.1:4711", "[::1]:4711", "::ffff:127.0.0.1" → the address alone, an IPv4 one in its own form.
static std::string address_of(std::string_view peer) {
  if (peer.empty() || peer.starts_with("unix")) return "unix";
  if (peer.front() == '[') {
    const auto end = peer.find(']');
    peer = peer.substr(1, end == std::string_view::npos ? end : end - 1);
  } else if (std::count(peer.begin(), peer.end(), ':') == 1) {
    peer = peer.substr(0, peer.find(':'));
  }
  static constexpr std::string_view kMapped = "::ffff:";
  if (peer.starts_with(kMapped)) {
    const auto rest = peer.substr(kMapped.size());
    if (rest.find('.') != rest.npos && rest.find_first_not_of("0123456789.") == rest.npos) peer = rest;
  }
  return std::string(peer);
}

ClientOrigin client_origin(const http::Request& request, const std::vector<std::string>& trusted) {
  const auto is_trusted = [&](const std::string& address) {
    return address == "unix" || std::find(trusted.begin(), trusted.end(), address) != trusted.end();
  };
  ClientOrigin origin;
  origin.address = address_of(request.peer);
  if (!is_trusted(origin.address)) return origin;

  std::vector<std::string> hops;
  for (const auto field : request.headers.all("X-Forwarded-For"))
    for (const auto hop : split(field, ',')) hops.push_back(address_of(trim(hop)));
  while (!hops.empty() && is_trusted(origin.address)) {
    origin.address = std::move(hops.back());
    hops.pop_back();
  }
  if (const auto scheme = request.headers.get("X-Forwarded-Proto"))
    origin.https = equals_ignoring_case(trim(split(*scheme, ',').back()), "https");
  return origin;
}

}  // namespace wrenn::cp
