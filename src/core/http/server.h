// Server: HTTP/1.1 over any number of listeners, all on one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/async/scope.h"
#include "core/http/reply.h"
#include "core/net/listener.h"

namespace wrenn::http {

struct ServerOptions {
  std::string name = "wrenn";  // Server field
  std::size_t connections_max = 0;  // 0: limits::kHttpConnections
  // Makes the answer for a handler that threw before it answered, and for requests the server itself refuses
  // (status 400, 408, 413, 414, 431, 501, 505 …): the role's error envelope.
  std::function<Response(int status, std::exception_ptr error, const Request* request)> render_error;
};

class Server {
 public:
  // `handler` gets every request (usually a router behind middleware).
  Server(async::Executor executor, Handler handler, ServerOptions options);
  ~Server();

  // Accepts on `listener` until stop(). Call once per listener; await it in a scope.
  Task<> serve(net::Listener& listener);

  // Stops accepting, lets running requests end for at most `grace`, then cuts them. Idempotent.
  Task<> stop(std::chrono::steady_clock::duration grace);

  std::size_t open_connections() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wrenn::http
