#include "envd/auth.h"

#include "api/envd.h"

namespace wrenn::envd {

bool AccessToken::admits(const http::Request& request) const noexcept {
  if (!is_set()) return true;
  const auto given = request.headers.get(api::envd::kTokenHeader);
  return given && token_.equals(*given);
}

bool is_open(const http::Request& request) noexcept {
  return (request.method == "GET" && request.path == "/health") ||
         (request.method == "POST" && request.path == "/init") ||
         ((request.method == "GET" || request.method == "POST") && request.path == "/files");
}

}  // namespace wrenn::envd
