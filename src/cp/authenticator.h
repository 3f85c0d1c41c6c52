// Credentials of a request → who asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/http/reply.h"
#include "cp/service/credentials.h"

namespace wrenn::cp {

using async::Task;

using service::kCsrfCookie;
using service::kCsrfHeader;
using service::kSessionCookie;

class Authenticator {
 public:
  // `origins`: pages that may open WebSockets with a cookie and sign in, beside those of the request's own
  // host: "https://app.example.com".
  Authenticator(service::Credentials& credentials, std::vector<std::string> origins)
      : credentials_(credentials), origins_(std::move(origins)) {}

  // X-API-Key, Authorization: Bearer, or the session cookie; the first wins. Throws Error(unauthenticated)
  // for none and for an unknown one; Error(permission_denied) for a cookie that another page may have sent.
  Task<service::Caller> require(const http::Request& request);
  // A user. Throws Error(permission_denied) for an API key.
  Task<service::Caller> require_user(const http::Request& request);
  // A user who is an admin of the platform, working in its team.
  Task<service::Caller> require_admin(const http::Request& request);
  // The same of somebody who is known already. Throws Error(permission_denied).
  static service::Caller as_admin(service::Caller caller);
  // As require(), but absent when the request carries no credentials at all.
  Task<std::optional<service::Caller>> find(const http::Request& request);
  // Before cookies are set: throws Error(permission_denied) when a page of another origin has made the browser
  // ask, which would sign it in to an account of that page's choice.
  void refuse_foreign_page(const http::Request& request) const;
  // Of the first message of a WebSocket, {"type":"auth","token":…}: browsers cannot set headers there.
  Task<std::optional<service::Caller>> find(std::string token);

 private:
  Task<service::Caller> by_cookie(const http::Request& request, std::string token);
  bool comes_from_our_page(const http::Request& request) const;

  service::Credentials& credentials_;
  const std::vector<std::string> origins_;
};

}  // namespace wrenn::cp
