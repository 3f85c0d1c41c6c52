#include "cli/endpoint.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/json/reader.h"

namespace wrenn::cli {

static std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

static std::string without_trailing_slashes(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

static constexpr std::string_view kHttp = "http://";

net::Address Endpoint::address() const {
  if (!url.starts_with(kHttp))
    throw_error(ErrorCode::invalid_argument,
                "{}: streams need a plain http:// address for now; reach the control plane on its own port", url);
  const auto rest = std::string_view(url).substr(kHttp.size());
  const auto authority = std::string(rest.substr(0, rest.find('/')));
  const bool has_port = authority.rfind(':') != std::string::npos && !authority.ends_with(']');
  return net::Address::parse(has_port ? authority : authority + ":80");
}

std::string Endpoint::path_prefix() const {
  const auto scheme = url.find("://");
  const auto slash = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  return slash == std::string::npos ? "" : url.substr(slash);
}

Endpoint find_endpoint(const EndpointOptions& options) {
  Endpoint endpoint;
  endpoint.url = options.url.empty() ? environment("WRENN_BASE_URL") : options.url;
  std::string key = options.api_key.empty() ? environment("WRENN_API_KEY") : options.api_key;
  if (endpoint.url.empty() || key.empty()) {
    std::string dir = options.dir.empty() ? environment("WRENN_DIR") : options.dir;
    if (dir.empty()) dir = kDefaultDir;
    const std::string path = dir + "/dev.json";
    std::ifstream file(path);
    if (!file)
      throw_error(ErrorCode::not_found,
                  "no control plane known: {} is not readable. Start one with `wrenn dev --dir {}`, or set "
                  "WRENN_BASE_URL and WRENN_API_KEY (or --url and --api-key)",
                  path, dir);
    std::stringstream text;
    text << file.rdbuf();
    const auto credentials = json::parse(text.str());
    if (endpoint.url.empty()) endpoint.url = credentials.text_of("url");
    if (key.empty()) key = credentials.text_of("api_key");
    if (endpoint.url.empty() || key.empty())
      throw_error(ErrorCode::data_loss, "{}: url or api_key is missing; start `wrenn dev` once more", path);
  }
  endpoint.url = without_trailing_slashes(endpoint.url);
  endpoint.api_key = Secret(std::move(key));
  return endpoint;
}

static http::Headers credentials_of(const Endpoint& endpoint) {
  http::Headers headers;
  headers.set("X-API-Key", endpoint.api_key.reveal());
  return headers;
}

Api::Api(const Endpoint& endpoint) : client_(endpoint.url, credentials_of(endpoint)) {}

void Api::expect_success(const http::Response& response) {
  if (response.status >= 200 && response.status < 300) return;
  std::string message;
  try {
    const auto body = json::parse(response.body);
    if (const auto* error = body.find("error")) message = error->text_of("message");
  } catch (const Error&) {
    // Not our envelope: something else answers at that address.
  }
  if (message.empty()) message = fmt::format("the server answered {}: {}", response.status, trim(response.body));
  ErrorCode code = ErrorCode::internal;
  switch (response.status) {
    case 400: code = ErrorCode::invalid_argument; break;
    case 401: code = ErrorCode::unauthenticated; break;
    case 403: code = ErrorCode::permission_denied; break;
    case 404: code = ErrorCode::not_found; break;
    case 409: code = ErrorCode::failed_precondition; break;
    case 413: code = ErrorCode::too_large; break;
    case 503: code = ErrorCode::unavailable; break;
    default: break;
  }
  throw Error(code, std::move(message));
}

static json::Value parse_answer(const http::Response& response) {
  Api::expect_success(response);
  return response.body.empty() ? json::Value() : json::parse(response.body);
}

json::Value Api::get(const std::string& target) { return parse_answer(client_.send("GET", target, {}, "")); }

json::Value Api::post(const std::string& target, const std::string& body, http::Headers headers) {
  headers.set("Content-Type", http::kJson);
  return parse_answer(client_.send("POST", target, std::move(headers), body));
}

void Api::remove(const std::string& target) { expect_success(client_.send("DELETE", target, {}, "")); }

}  // namespace wrenn::cli
