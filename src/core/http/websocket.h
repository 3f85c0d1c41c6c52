// WebSocket (RFC 6455), both ends. Text must be valid UTF-8, frames from a client must be masked, control
// frames are answered here; fragmented messages arrive whole, up to limits::kWebSocketMessageBytes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/headers.h"
#include "core/net/stream.h"

namespace wrenn::http {

using async::Task;

struct WebSocketOptions {
  std::size_t message_bytes_max = 0;  // 0: limits::kWebSocketMessageBytes
  Headers headers;                    // extra fields of the 101 answer
};

class WebSocket {
 public:
  enum class Role { server, client };
  struct Message {
    bool binary = false;
    std::string data;
  };

  WebSocket(net::Stream stream, Role role, std::string unread, std::size_t message_bytes_max);
  WebSocket(WebSocket&&) noexcept;
  WebSocket& operator=(WebSocket&&) noexcept;
  ~WebSocket();

  // The next message; absent once the peer has closed properly, or after our own close(). Answers pings and
  // closes by itself. Throws Error(invalid_argument) after telling the peer 1002/1007/1009,
  // Error(unavailable) when the connection breaks. One task at a time. Cancelling it loses nothing.
  Task<std::optional<Message>> receive();

  // One task may send while another receives; several tasks may send (frames do not mix; first come, first
  // served). Returns when the bytes are with the kernel: back-pressure. The text stays valid until then.
  // Throws Error(invalid_argument) for text that is not UTF-8, Error(unavailable) after a close. Cancelling a
  // send that has begun cuts the connection, since half a frame is out.
  Task<> send_text(std::string_view text);
  Task<> send_binary(std::string_view data);
  Task<> ping();

  // Run beside a loop of receive(): pings whenever the peer was silent for `interval`; when nothing comes or
  // goes for twice as long, receive() and sends fail with Error(deadline_exceeded). Returns once the
  // connection ends.
  Task<> keep_alive(std::chrono::seconds interval);

  // Sends a close frame (once), waits for the peer's at most limits::kWebSocketCloseTimeout, and closes.
  // Messages that still come are dropped unless another task receives. Never throws for a peer that is gone.
  Task<> close(unsigned code, std::string_view reason);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2).
std::string websocket_accept(std::string_view key);

}  // namespace wrenn::http
