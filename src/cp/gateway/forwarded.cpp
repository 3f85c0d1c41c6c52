#include "cp/gateway/forwarded.h"

#include <fmt/format.h>

#include <array>

#include "api/agent.h"
#include "core/base/text.h"
#include "cp/service/api_keys.h"
#include "cp/service/credentials.h"

namespace wrenn::cp::gateway {

namespace {

// Ours, and those of E2B's shape, which clients of its SDKs hold (spec/e2b/control-api.md §1.2).
bool is_platform_key(std::string_view value) noexcept {
  for (const std::string_view prefix : {service::kApiKeyPrefix, service::kSessionPrefix,
                                        std::string_view("e2b_"), std::string_view("sk_e2b_")})
    if (value.starts_with(prefix)) return true;
  return false;
}

bool holds_platform_key(const http::Headers& headers, std::string_view name, std::string_view scheme) {
  for (auto value : headers.all(name)) {
    if (!scheme.empty()) {
      if (value.size() <= scheme.size() || !equals_ignoring_case(value.substr(0, scheme.size()), scheme))
        continue;
      value = trim(value.substr(scheme.size()));
    }
    if (is_platform_key(value)) return true;
  }
  return false;
}

bool is_platform_cookie(std::string_view pair) noexcept {
  const auto name = trim(pair.substr(0, pair.find('=')));
  return name == service::kSessionCookie || name == service::kCsrfCookie;
}

// A browser that is signed in sends our cookies to a guest that it reaches by way of the API's own name.
void keep_back_cookies(http::ProxyOptions& options, const http::Headers& headers) {
  std::string rest;
  bool ours = false;
  for (const auto field : headers.all("Cookie"))
    for (const auto pair : split(field, ';')) {
      if (is_platform_cookie(pair)) {
        ours = true;
        continue;
      }
      if (!rest.empty()) rest += "; ";
      rest += trim(pair);
    }
  if (!ours) return;
  if (rest.empty())
    options.remove.emplace_back("Cookie");
  else
    options.set.set("Cookie", rest);
}

// "127.0.0.1:4242" → "127.0.0.1", "[::1]:4242" → "::1".
std::string_view host_of_peer(std::string_view peer) noexcept {
  if (peer.starts_with('[')) return peer.substr(1, peer.find(']') - 1);
  return peer.substr(0, peer.rfind(':'));
}

bool is_of_this_machine(std::string_view peer) noexcept {
  const auto host = host_of_peer(peer);
  return peer == "unix" || host.starts_with("127.") || host == "::1";
}

std::string joined(const http::Headers& headers, std::string_view name, std::string_view last) {
  std::string text;
  for (const auto value : headers.all(name)) {
    if (!text.empty()) text += ", ";
    text += value;
  }
  if (!text.empty() && !last.empty()) text += ", ";
  text += last;
  return text;
}

}  // namespace

void set_forwarded_fields(http::ProxyOptions& options, const http::Request& request) {
  const http::Headers& headers = request.headers;
  options.remove.emplace_back(api::agent::kTokenHeader);
  if (holds_platform_key(headers, "X-API-Key", "")) options.remove.emplace_back("X-API-Key");
  if (holds_platform_key(headers, "Authorization", "Bearer ")) options.remove.emplace_back("Authorization");
  keep_back_cookies(options, headers);

  static const http::Headers kNone;
  const bool believed = is_of_this_machine(request.peer);
  const http::Headers& told = believed ? headers : kNone;
  if (!believed)
    for (const char* name : {"Forwarded", "X-Forwarded-Port", "X-Real-IP"}) options.remove.emplace_back(name);
  options.set.set("X-Forwarded-For", joined(told, "X-Forwarded-For", host_of_peer(request.peer)));
  options.set.set("X-Forwarded-Proto", told.get("X-Forwarded-Proto").value_or("http"));
  options.set.set("X-Forwarded-Host",
                  told.get("X-Forwarded-Host").value_or(headers.get("Host").value_or("")));
  options.set.set("Via", joined(headers, "Via", fmt::format("1.{} wrenn", request.minor_version)));
}

}  // namespace wrenn::cp::gateway
