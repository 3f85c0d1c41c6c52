// The frames of WebSocket (RFC 6455 §5) without any input or output: what websocket.cpp sends and receives,
// and what the fuzzer feeds.
//
//   byte 0            byte 1                 0, 2 or 8 bytes    0 or 4 bytes    length bytes
//   fin rsv opcode    masked, 7-bit length   longer length      mask            payload
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wrenn::http {

enum class WebSocketOpcode : unsigned char {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

// Close codes of RFC 6455 §7.4.1 that wrenn uses itself.
inline constexpr unsigned kCloseNormal = 1000;
inline constexpr unsigned kCloseProtocolError = 1002;
inline constexpr unsigned kCloseNoCode = 1005;  // never on the wire: the close frame had no code
inline constexpr unsigned kCloseBadPayload = 1007;
inline constexpr unsigned kCloseTooBig = 1009;

inline constexpr std::size_t kControlPayloadBytes = 125;  // §5.5
inline constexpr std::size_t kFrameHeadBytes = 14;        // the longest head

using WebSocketMask = std::array<unsigned char, 4>;

// Exclusive-or of `data` with the mask, repeated. `phase` is how many bytes of the payload came before.
void apply_mask(std::span<char> data, WebSocketMask mask, std::uint64_t phase) noexcept;

// Head of an unfragmented frame, in the shortest encoding of its length.
class WebSocketHead {
 public:
  WebSocketHead(WebSocketOpcode opcode, std::uint64_t length, std::optional<WebSocketMask> mask) noexcept;
  std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, kFrameHeadBytes> bytes_;
  std::size_t size_;
};

// True for codes that may stand in a close frame (§7.4: 1000-1003, 1007-1014, 3000-4999).
bool is_close_code(unsigned code) noexcept;

// Payload of a close frame: empty for kCloseNoCode; the reason is cut to fit, between characters.
std::string close_payload(unsigned code, std::string_view reason);

// Checks UTF-8 that comes in pieces.
class Utf8Checker {
 public:
  // False once the text so far cannot be the start of valid UTF-8.
  bool feed(std::string_view piece) noexcept;
  // True if the text does not end inside a character. Starts over.
  bool finish() noexcept;

 private:
  unsigned char missing_ = 0;               // bytes that the current character still needs
  unsigned char low_ = 0x80, high_ = 0xBF;  // range of its next byte
};

// Turns received bytes into messages and control frames, strictly. Memory grows with what has arrived, never
// with what a head announces.
class WebSocketDecoder {
 public:
  // `masked`: frames must be masked (we are the server) or must not be (we are the client).
  WebSocketDecoder(bool masked, std::size_t message_bytes_max) noexcept
      : masked_(masked), message_bytes_max_(message_bytes_max) {}

  struct Event {
    enum class Kind { text, binary, ping, pong, close, failure } kind;
    std::string payload;  // a whole message; the reason of a close; what broke the protocol
    unsigned code = 0;    // of a close: the peer's or kCloseNoCode; of a failure: the code to tell the peer
  };

  // Takes bytes off the front of `input`, which is unmasked in place, until an event is complete or nothing
  // is left (absent). After a close or a failure no more bytes may be given.
  std::optional<Event> next(std::span<char>& input);

 private:
  std::optional<Event> read_head();
  std::optional<Event> take_payload(std::span<char>& input);
  std::optional<Event> end_frame();
  Event end_of_close();
  static Event fail(unsigned code, std::string_view why) {
    return {Event::Kind::failure, std::string(why), code};
  }
  bool is_control() const noexcept { return (static_cast<unsigned>(opcode_) & 8) != 0; }

  const bool masked_;
  const std::size_t message_bytes_max_;

  std::array<unsigned char, kFrameHeadBytes> head_{};
  std::size_t head_size_ = 0;
  std::size_t head_wanted_ = 2;  // grows when the second byte tells

  bool in_payload_ = false;
  bool fin_ = false;
  WebSocketOpcode opcode_{};
  WebSocketMask mask_{};
  std::uint64_t remaining_ = 0;
  std::uint64_t phase_ = 0;

  std::optional<WebSocketOpcode> message_opcode_;  // of a message that has begun
  std::string message_;
  std::string control_;
  Utf8Checker utf8_;
};

}  // namespace wrenn::http
