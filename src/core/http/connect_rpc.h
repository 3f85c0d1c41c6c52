// Connect RPC with the JSON codec (connectrpc.com/docs/protocol): unary calls and streams of envelopes. An envelope is
// one flag byte, a 4-byte big-endian length and the message; the last one has flag 0x02 and holds {} or {"error":…}.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/http/client.h"
#include "core/http/reply.h"

namespace wrenn::http {

inline constexpr std::string_view kConnectJson = "application/json";
inline constexpr std::string_view kConnectStreamJson = "application/connect+json";

int connect_status(ErrorCode code) noexcept;                       // HTTP status of a unary error
ErrorCode connect_code(std::string_view name) noexcept;            // unknown name → unknown
std::string connect_error_json(ErrorCode code, std::string_view message);
std::string connect_envelope(std::string_view message, unsigned char flags = 0);

// Error answer of a unary call.
Response connect_error(ErrorCode code, std::string_view message);

// Reads envelopes out of a body: requests of streaming calls on the server, answers on the client.
class EnvelopeReader {
 public:
  explicit EnvelopeReader(Body& body, std::size_t frame_bytes_max = 0);  // 0: limits::kConnectFrameBytes
  struct Envelope {
    bool end = false;  // the end-of-stream message
    std::string message;
  };
  // Absent when the body ends between envelopes. Throws Error(invalid_argument) on compressed, oversize or torn ones.
  Task<std::optional<Envelope>> next();

 private:
  Task<bool> fill(std::size_t bytes);
  Body& body_;
  std::size_t max_;
  std::string buffer_;
  std::size_t at_ = 0;
};

// Server side of a streaming answer. Errors of a stream are HTTP 200 and an end-of-stream message, even before the
// first message: clients drop the body of anything else.
class ConnectStream {
 public:
  static Task<ConnectStream> begin(Reply& reply);
  Task<> send(std::string_view json);
  Task<> end();                                            // {}
  Task<> fail(ErrorCode code, std::string_view message);  // {"error":…}

 private:
  explicit ConnectStream(std::unique_ptr<BodyWriter> writer) : writer_(std::move(writer)) {}
  std::unique_ptr<BodyWriter> writer_;
};

// Client side of a server-streaming call.
class ConnectCall {
 public:
  // POSTs `json` as one envelope and reads the head of the answer within `timeout`. Throws Error with the code that a
  // non-200 answer carries.
  static Task<ConnectCall> begin(Client& client, std::string target, Headers headers, std::string json,
                                 std::chrono::steady_clock::duration timeout);
  // The next message; absent after a proper end. Throws Error with the peer's code and message on an error end,
  // Error(unavailable) if the stream breaks off without an end.
  Task<std::optional<std::string>> next();
  // No stall limit is kept between messages unless set here.
  void set_stall_limit(std::chrono::seconds limit) noexcept { exchange_->set_stall_limit(limit); }

 private:
  ConnectCall(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<EnvelopeReader> reader_;
};

// Unary call: the answer's JSON. Throws Error with the peer's code and message.
Task<std::string> connect_unary(Client& client, std::string target, Headers headers, std::string json,
                                std::chrono::steady_clock::duration timeout);

}  // namespace wrenn::http
