// The reply of the server: writes one answer onto the connection of its request.
#pragma once

#include <string>

#include "core/http/connection_reader.h"
#include "core/http/reply.h"

namespace wrenn::http {

// What the request in progress and its answer share on a connection. It lives as long as the connection; the
// fields after `keep_alive` are set anew for each request.
struct ServerExchange {
  explicit ServerExchange(net::Stream accepted) : stream(std::move(accepted)), reader(stream), body(reader) {}
  ServerExchange(const ServerExchange&) = delete;
  ServerExchange& operator=(const ServerExchange&) = delete;

  net::Stream stream;
  ConnectionReader reader;
  FramedBody body;
  std::string head;  // of the answer; kept to reuse its memory
  bool keep_alive = true;
  bool continue_awaited = false;  // the client holds its body back until it has seen a 100 or an answer
};

// The request's body as the handler sees it: asks a waiting client to go on when the handler first wants a
// byte.
class ServerBody final : public Body {
 public:
  explicit ServerBody(ServerExchange& exchange) noexcept : exchange_(exchange) {}
  Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override { return exchange_.body.remaining(); }

 private:
  ServerExchange& exchange_;
};

class ServerReply final : public Reply {
 public:
  ServerReply(ServerExchange& exchange, const Request& request, std::string_view server_name) noexcept
      : exchange_(exchange), request_(request), server_name_(server_name) {}

  Task<> send(Response response) override;
  Task<std::unique_ptr<BodyWriter>> stream(int status, Headers fields,
                                           std::optional<std::uint64_t> length) override;
  Task<WebSocket> accept_websocket(const WebSocketOptions& options) override;
  net::Stream hijack(std::string& unread) override;
  Task<> client_gone() override;
  bool started() const noexcept override { return started_; }

  // True when the whole answer is with the kernel: the connection may carry another request.
  bool finished() const noexcept { return finished_; }
  bool hijacked() const noexcept { return hijacked_; }
  // The end of the answer is the end of the connection, so one that breaks off must end in a reset.
  bool ends_by_close() const noexcept { return ends_by_close_; }

 private:
  friend class StreamedBody;
  void begin();
  void write_head_fields(int status, const Headers& fields);
  bool has_no_body(int status) const noexcept;

  ServerExchange& exchange_;
  const Request& request_;
  std::string_view server_name_;
  bool started_ = false;
  bool finished_ = false;
  bool hijacked_ = false;
  bool ends_by_close_ = false;
};

}  // namespace wrenn::http
