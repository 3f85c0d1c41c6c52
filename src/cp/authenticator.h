// Credentials of a request → who asks.
#pragma once

#include <optional>

#include "core/http/reply.h"
#include "core/http/websocket.h"
#include "cp/service/api_keys.h"

namespace wrenn::cp {

using async::Task;

class Authenticator {
 public:
  explicit Authenticator(service::ApiKeys& keys) : keys_(keys) {}

  // X-API-Key, or Authorization: Bearer; the first wins. Throws Error(unauthenticated) for none and for an
  // unknown one.
  Task<service::Caller> require(const http::Request& request);
  // As require(), but absent when the request carries no credentials at all.
  Task<std::optional<service::Caller>> find(const http::Request& request);
  // Of the first message of a WebSocket, {"type":"auth","token":…}: browsers cannot set headers there.
  Task<std::optional<service::Caller>> find(std::string token);

 private:
  service::ApiKeys& keys_;
};

}  // namespace wrenn::cp
