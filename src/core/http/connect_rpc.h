// Connect RPC with the JSON codec (connectrpc.com/docs/protocol): unary calls and streams of envelopes. An
// envelope is one flag byte, a 4-byte big-endian length and the message; the last one has flag 0x02 and holds
// {} or {"error":…}.
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

int connect_status(ErrorCode code) noexcept;                 // HTTP status of a unary error
ErrorCode connect_code(std::string_view name) noexcept;      // unknown name → unknown
ErrorCode connect_code_of_status(int http_status) noexcept;  // of an answer without a Connect body
std::string connect_error_json(ErrorCode code, std::string_view message);
std::string connect_envelope(std::string_view message, unsigned char flags = 0);

// What a peer says, made fit to be shown and logged: cut, valid UTF-8, one line.
std::string presentable(std::string_view text);

// Error answer of a unary call.
Response connect_error(ErrorCode code, std::string_view message);

// The error of an answer with a status other than 200; `what` names the call. `body` may be anything. A
// peer's "canceled" becomes aborted, for ours means that the task itself is to stop.
Error connect_error_of(std::string_view what, int http_status, std::string_view body);

// The error that an end-of-stream message carries; absent after a proper end.
std::optional<Error> connect_end_error(std::string_view end_message);

// Reads envelopes out of a body: requests of streaming calls on the server, answers on the client.
class EnvelopeReader {
 public:
  explicit EnvelopeReader(Body& body, std::size_t frame_bytes_max = 0);  // 0: limits::kConnectFrameBytes
  struct Envelope {
    bool end = false;  // the end-of-stream message
    std::string message;
  };
  // Absent when the body ends between envelopes. Throws Error(invalid_argument) on compressed or torn ones
  // and on unknown flags, Error(too_large) on oversize ones. Memory grows with what has arrived, not with
  // what a length says.
  Task<std::optional<Envelope>> next();

 private:
  Body& body_;
  std::size_t max_;
  std::unique_ptr<char[]> buffer_;
  std::size_t at_ = 0;  // received and not taken: [at_, end_)
  std::size_t end_ = 0;
};

// Server side of a streaming answer. Errors of a stream are HTTP 200 and an end-of-stream message, even
// before the first message: clients drop the body of anything else. The head goes out with the first message
// and not before, for a client that is answered while it has not sent its request drops the rest of it
// (connectrpc of Python over pyqwest does).
class ConnectStream {
 public:
  explicit ConnectStream(Reply& reply) noexcept : reply_(reply) {}  // `reply` must outlive this
  Task<> send(std::string_view json);
  Task<> end();                                           // {}
  Task<> fail(ErrorCode code, std::string_view message);  // {"error":…}

 private:
  Task<> write(std::string_view envelope);
  Reply& reply_;
  std::unique_ptr<BodyWriter> writer_;
};

// Client side of a server-streaming call.
class ConnectCall {
 public:
  // POSTs `json` as one envelope and reads the head of the answer within `timeout`. Throws Error with the
  // code that a non-200 answer carries.
  static Task<ConnectCall> begin(Client& client, std::string target, Headers headers, std::string json,
                                 std::chrono::steady_clock::duration timeout);
  // The next message; absent after a proper end. Throws Error with the peer's code and message on an error
  // end, Error(unavailable) if the stream breaks off without an end, Error(internal) if it is no Connect
  // stream.
  Task<std::optional<std::string>> next();
  // No stall limit is kept between messages unless set here.
  void set_stall_limit(std::chrono::seconds limit) noexcept { exchange_->set_stall_limit(limit); }

 private:
  explicit ConnectCall(std::unique_ptr<Exchange> exchange);
  static Task<ConnectCall> start(Client& client, std::string target, Headers headers, std::string json,
                                 std::chrono::steady_clock::duration timeout);
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<EnvelopeReader> reader_;
  bool ended_ = false;
};

// Unary call: the answer's JSON. Throws Error with the peer's code and message.
// An answer of more than `response_bytes_max` is Error(too_large).
Task<std::string> connect_unary(Client& client, std::string target, Headers headers, std::string json,
                                std::chrono::steady_clock::duration timeout,
                                std::uint64_t response_bytes_max = 4 * 1024 * 1024);

}  // namespace wrenn::http
