// One connection of the server: reads requests one after the other, has each handled, and decides after each
// whether the connection can carry another. This is the edge where a handler's exceptions end.
#pragma once

#include "core/http/server.h"
#include "core/http/server_reply.h"

namespace wrenn::http {

// What connections see of their server.
struct ServerContext {
  Handler handler;
  ServerOptions options;
  bool stopping = false;
};

class ServerConnection {
 public:
  ServerConnection(ServerContext& context, net::Stream stream);

  // Until the connection ends; throws only what cancels it.
  Task<> run();
  // Ends a connection that waits for a request; one that has begun a request ends after its answer.
  void stop_if_waiting() noexcept;
  // mark(), and later cut_if_marked(): closes a connection that has not begun a request since.
  void mark() noexcept { marked_ = true; }
  void cut_if_marked() noexcept;

 private:
  enum class Head { complete, closed, refused };
  Task<Head> read_head(Request& request);
  // True if another request may follow.
  Task<bool> serve_one();
  Task<> answer_error(ServerReply& reply, int status, std::exception_ptr error, const Request* request);
  Task<bool> drain_body();
  Task<> refuse(int status, std::string_view reason);
  Task<> linger();

  ServerContext& context_;
  ServerExchange exchange_;
  RequestParser parser_;
  const std::string peer_;
  bool waiting_ = false;
  bool marked_ = false;
};

}  // namespace wrenn::http
