// Passes one request on and its answer back, streaming both ways; WebSocket and any other upgrade pass
// through as bytes. Hop-by-hop fields are dropped (RFC 9110 §7.6.1).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/http/client.h"
#include "core/http/reply.h"

namespace wrenn::http {

struct ProxyOptions {
  std::string target;               // request target to send: path and query, as is
  std::string host;                 // Host field; empty: the upstream's address
  Headers set;                      // fields set (replaced) on the way there, e.g. an access token
  std::vector<std::string> remove;  // fields dropped on the way there
  // For the head of the answer; begins anew while the body of the request moves.
  std::chrono::steady_clock::duration head_timeout = std::chrono::minutes(10);
  // Called on every piece of body that moves, either way (activity counting). May be empty.
  std::function<void()> on_bytes;
};

// What the upstream did, in contrast to what the client did.
class UpstreamError : public Error {
  using Error::Error;
};

// Throws UpstreamError (unavailable | deadline_exceeded | invalid_argument) when the upstream cannot be
// reached, breaks off or breaks HTTP before the end of its head: the caller decides what to answer then.
// After the head has been passed on, failures cut the client's connection.
Task<> proxy(Request& request, Reply& reply, Client& upstream, const ProxyOptions& options);

}  // namespace wrenn::http
