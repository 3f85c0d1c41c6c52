// Reply: how a handler answers. Exactly one of send(), stream(), accept_websocket() or hijack() per request.
//
// A handler that throws before it began its answer gets an error answer from the server's error renderer; one that
// throws after it began has its connection cut, so that the client notices the truncation.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/http/message.h"
#include "core/net/stream.h"

namespace wrenn::http {

class WebSocket;
struct WebSocketOptions;

// The streamed body of an answer. finish() ends it properly; destruction without finish() cuts the connection.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // Returns when the bytes are with the kernel: back-pressure. Throws Error(unavailable) when the client is gone.
  virtual Task<> write(std::string_view data) = 0;
  virtual Task<> finish() = 0;
};

class Reply {
 public:
  virtual ~Reply() = default;

  // Fields added to whatever answer follows (request id, Server).
  Headers headers;

  // A whole answer with Content-Length. The body is left out for HEAD, 204 and 304.
  virtual Task<> send(Response response) = 0;

  // Starts a streamed answer: chunked unless `length` is given (then exactly that many bytes must be written).
  // Each write() is flushed at once.
  virtual Task<std::unique_ptr<BodyWriter>> stream(int status, Headers fields,
                                                   std::optional<std::uint64_t> length = std::nullopt) = 0;

  // Completes the WebSocket handshake. Throws Error(invalid_argument) if the request is none.
  virtual Task<WebSocket> accept_websocket(const WebSocketOptions& options) = 0;

  // Takes the connection away from HTTP, before or after the handler wrote a 101 itself; `unread` receives bytes that
  // were already read beyond the request. For upgrade-transparent proxying.
  virtual net::Stream hijack(std::string& unread) = 0;

  // Returns when the client has gone away: race it against the work of a long answer (async::first_of).
  virtual Task<> client_gone() = 0;

  virtual bool started() const noexcept = 0;
};

using Handler = std::function<Task<>(Request&, Reply&)>;

}  // namespace wrenn::http
