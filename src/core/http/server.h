// Server: HTTP/1.1 over any number of listeners, all on one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/async/scope.h"
#include "core/base/limits.h"
#include "core/http/parser.h"
#include "core/http/reply.h"
#include "core/net/listener.h"

namespace wrenn::http {

struct ServerOptions {
  std::string name = "wrenn";       // Server field
  std::size_t connections_max = 0;  // 0: limits::kHttpConnections; one more is answered with 503 and closed
  // Smaller in tests only. The resolution is a second.
  std::chrono::seconds head_timeout = limits::kHttpHeadTimeout;
  std::chrono::seconds idle_timeout = limits::kHttpIdleTimeout;
  std::chrono::seconds body_stall_timeout = limits::kHttpBodyStallTimeout;
  HeadLimits head_limits;
  // Makes the answer for a handler that threw before it answered, and for requests the server itself refuses
  // (status 400, 408, 414, 417, 431, 501, 505; `request` is null then): the role's error envelope. `status`
  // is a guess from the error's code; the renderer may answer another. Empty: a line of text.
  std::function<Response(int status, std::exception_ptr error, const Request* request)> render_error;
};

class Server {
 public:
  // `handler` gets every request (usually a router behind middleware).
  Server(async::Executor executor, Handler handler, ServerOptions options);
  // A server that has accepted connections must have been stopped: stop() awaited to its end.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts on `listener` until stop(). Call once per listener; await it in a scope. Throws Error(canceled)
  // when it is cancelled itself, and what Listener::accept() throws.
  Task<> serve(net::Listener& listener);

  // Stops accepting (closes the listeners), ends connections that wait for a request, lets running requests
  // end for at most `grace`, then cancels their handlers and cuts them. Idempotent. An owner that may have
  // been cancelled awaits async::ignore_cancellation() first.
  Task<> stop(std::chrono::steady_clock::duration grace);

  std::size_t open_connections() const noexcept;
  // For a machine that is about to be snapshotted: after it is resumed nobody is at the other end of what was
  // open. mark_connections() remembers those that are; cut_marked() closes the ones of them that have not begun
  // another request since, whatever they are doing.
  void mark_connections() noexcept;
  void cut_marked() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wrenn::http
