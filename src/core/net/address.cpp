#include "core/net/address.h"

#include <sys/un.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::net {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw_error(ErrorCode::invalid_argument,
              "address \"{}\": {}; write \"host:port\", \"[ipv6]:port\", \":port\" for every interface, or "
              "\"unix:/path\"",
              text, why);
}

bool is_host_name(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
  });
}

}  // namespace

Address Address::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) {
    const auto path = text.substr(kUnixPrefix.size());
    if (path.empty()) refuse(text, "the path of the Unix socket is missing");
    return unix_socket(std::string(path));
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse(text, "there is no port");
  const auto port = parse_int<std::uint16_t>(text.substr(colon + 1));
  if (!port) refuse(text, "the port is not a number from 0 to 65535");
  auto host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) refuse(text, "the bracket of the IPv6 address is not closed");
    host = host.substr(1, host.size() - 2);
    asio::error_code error;
    asio::ip::make_address_v6(host, error);
    if (error) refuse(text, "what stands in brackets is no IPv6 address");
  } else if (!host.empty() && !is_host_name(host)) {
    refuse(text, host.find(':') != host.npos ? "an IPv6 address needs brackets"
                                             : "the host has characters that no name has");
  }
  return tcp(std::string(host), *port);
}

Address Address::tcp(std::string host, std::uint16_t port) {
  Address address;
  address.host_ = std::move(host);
  address.port_ = port;
  return address;
}

Address Address::unix_socket(std::string path) {
  constexpr std::size_t kMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kMax)
    throw_error(ErrorCode::invalid_argument,
                "Unix socket path \"{}\" has {} bytes; the kernel takes at most {}", path, path.size(), kMax);
  Address address;
  address.path_ = std::move(path);
  return address;
}

std::string Address::text() const {
  if (is_unix()) return fmt::format("unix:{}", path_);
  if (host_.find(':') != std::string::npos) return fmt::format("[{}]:{}", host_, port_);
  return fmt::format("{}:{}", host_, port_);
}

}  // namespace wrenn::net
