// Where to connect or listen: a TCP address or a Unix socket path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/async/asio.h"

namespace wrenn::net {

class Address {
 public:
  // ":8000" (every interface, IPv4 and IPv6), "127.0.0.1:8000", "[::1]:8000", "localhost:8000", "unix:/path".
  // A host name is resolved when connecting. Throws Error(invalid_argument) that says what is accepted.
  static Address parse(std::string_view text);
  static Address tcp(std::string host, std::uint16_t port);
  static Address unix_socket(std::string path);

  bool is_unix() const noexcept { return !path_.empty(); }
  const std::string& path() const noexcept { return path_; }
  const std::string& host() const noexcept { return host_; }  // empty: every interface
  std::uint16_t port() const noexcept { return port_; }       // 0: any free port
  std::string text() const;
  auto operator<=>(const Address&) const = default;

 private:
  std::string host_;
  std::uint16_t port_ = 0;
  std::string path_;
};

}  // namespace wrenn::net
