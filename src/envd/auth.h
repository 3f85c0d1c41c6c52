// The access token: once the host has set it, every request must carry it, but for the health check.
#pragma once

#include "core/base/secret.h"
#include "core/http/message.h"

namespace wrenn::envd {

// Part of the protocol: clients compare it.
inline constexpr std::string_view kUnauthorizedText =
    "unauthorized access, please provide a valid access token or method signing if supported";

class AccessToken {
 public:
  bool is_set() const noexcept { return !token_.empty(); }
  // Empty clears it.
  void set(Secret token) { token_ = std::move(token); }
  // True if none is set, or the X-Access-Token field is equal to it (constant time).
  bool admits(const http::Request& request) const noexcept;
  // For signatures, which are made with it.
  const std::string& reveal() const noexcept { return token_.reveal(); }
  // True if one is set and `text` is it (constant time).
  bool equals(std::string_view text) const noexcept { return is_set() && token_.equals(text); }

 private:
  Secret token_;
};

// Requests that need no token, or check it by a rule of their own: GET /health, POST /init, and both of
// /files, which may have a signature instead (files/access.h).
bool is_open(const http::Request& request) noexcept;

}  // namespace wrenn::envd
