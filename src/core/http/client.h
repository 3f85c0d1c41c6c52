// Client: asynchronous HTTP/1.1 client to one address with kept-alive connections. Used between our own roles
// (cp → agent → envd), so the peer is not always friendly: a guest may lie. Heads, lengths and chunks are
// checked by the same strict parser as in the server, and every wait has a deadline.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/http/body.h"
#include "core/http/headers.h"
#include "core/http/message.h"
#include "core/http/websocket.h"
#include "core/net/stream.h"

namespace wrenn::http {

struct ClientOptions {
  std::chrono::steady_clock::duration connect_timeout{};  // zero: limits::kHttpConnectTimeout
  std::size_t idle_connections_max = 8;
  std::chrono::seconds idle_timeout{60};
  std::string host;  // Host field; default: the address
  Headers headers;   // added to every request
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;
  std::string body;
  std::uint64_t response_bytes_max = 4 * 1024 * 1024;
  std::chrono::steady_clock::duration timeout = std::chrono::seconds(30);  // for everything
  // May it be sent twice? Default: if its method is idempotent (RFC 9110 §9.2.2). Only then is it repeated
  // when a kept-alive connection dies before any byte of an answer, for the peer may have acted on it.
  std::optional<bool> repeatable;
};

// One request and its answer with both bodies streamed; one task may write while another reads. Destruction
// before the answer's body was read to its end closes the connection; otherwise it goes back to the client's
// idle list.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Body of the request (only if begun with chunked or a length). finish_body() must follow the last write.
  virtual Task<> write(std::string_view data) = 0;
  virtual Task<> finish_body() = 0;
  // Waits for the head of the answer (1xx other than 101 are skipped). Throws Error(deadline_exceeded |
  // unavailable | invalid_argument for an answer that breaks HTTP). After a deadline it may be called again.
  virtual Task<> read_head(std::chrono::steady_clock::duration timeout) = 0;
  virtual int status() const noexcept = 0;
  virtual const Headers& headers() const noexcept = 0;
  virtual Body& body() noexcept = 0;
  // After a 101: the raw stream, and what was read beyond the head.
  virtual net::Stream take_stream(std::string& unread) = 0;
  // A stall of either body longer than this is an error; zero: none (idle event streams). Default
  // kHttpBodyStallTimeout.
  virtual void set_stall_limit(std::chrono::seconds limit) noexcept = 0;
};

// An error of an answer (send(), read_head(), its body) as callers shall see it who are not to blame for what
// the peer sent: invalid_argument and too_large become internal. `who` begins the text.
Error blame_peer(std::string_view who, const Error& error);

class Client {
 public:
  Client(async::Executor executor, net::Address address, ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Whole request, whole answer. When a kept-alive connection turns out dead before any byte of an answer,
  // tries once more on a new one (see ClientRequest::repeatable; what the kernel refused to send at all is
  // always repeated). Throws Error(unavailable | deadline_exceeded | too_large | invalid_argument).
  Task<Response> send(ClientRequest request);

  enum class BodyKind { none, sized, chunked };
  // Sends the head. For `sized` the headers must hold Content-Length, else Error(internal). The fields Host
  // and Connection are set here unless given. Throws as send().
  Task<std::unique_ptr<Exchange>> begin(std::string method, std::string target, Headers headers,
                                        BodyKind body);

  // Upgrades to a WebSocket; throws Error(…) with the answer's status in its text when refused.
  Task<WebSocket> websocket(std::string target, Headers headers);

  // Opens a connection now, unless an idle one waits, and keeps it for the next request: so a caller can tell
  // a peer that cannot be reached from one that answers badly. Does nothing for idle_connections_max = 0.
  // Throws as net::connect().
  Task<> prepare();

  const net::Address& address() const noexcept;
  // Closes idle connections (the peer is about to be frozen or has been replaced).
  void drop_idle() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wrenn::http
