// Which control plane a command talks to, and how.
//
// The first that is set wins: --url/--api-key, WRENN_BASE_URL/WRENN_API_KEY, then dev.json of `wrenn dev` in --dir or
// WRENN_DIR or /var/lib/wrenn.
#pragma once

#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/http/blocking_client.h"
#include "core/json/value.h"
#include "core/net/address.h"

namespace wrenn::cli {

inline constexpr std::string_view kDefaultDir = "/var/lib/wrenn";

struct EndpointOptions {
  std::string url;
  std::string api_key;
  std::string dir;
};

struct Endpoint {
  std::string url;  // "http://127.0.0.1:8000", without a slash at the end
  Secret api_key;

  // For streams. Throws Error(invalid_argument) for a URL that is not plain http.
  net::Address address() const;
  std::string path_prefix() const;  // "" or "/api"
};

// Throws Error(not_found) that says how to start or name a control plane.
Endpoint find_endpoint(const EndpointOptions& options);

// Blocking calls to the REST API. Every non-2xx answer becomes an Error with the server's message.
class Api {
 public:
  explicit Api(const Endpoint& endpoint);

  json::Value get(const std::string& target);
  json::Value post(const std::string& target, const std::string& body, http::Headers headers = {});
  void remove(const std::string& target);
  http::BlockingClient& client() noexcept { return client_; }

  // Throws the Error that a failed answer stands for.
  static void expect_success(const http::Response& response);

 private:
  http::BlockingClient client_;
};

}  // namespace wrenn::cli
