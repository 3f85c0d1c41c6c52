#include "core/http/server_reply.h"

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/http/head_writer.h"
#include "core/http/websocket.h"

namespace wrenn::http {

Task<std::size_t> ServerBody::read_some(std::span<char> buffer) {
  if (exchange_.continue_awaited) {
    exchange_.continue_awaited = false;
    // A client that did not wait needs no leave.
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (exchange_.reader.buffered().empty()) co_await exchange_.stream.write(kContinue);
  }
  co_return co_await exchange_.body.read_some(buffer);
}

bool ServerReply::has_no_body(int status) const noexcept {
  return request_.method == "HEAD" || status == 204 || status == 304;
}

void ServerReply::begin() {
  if (started_ || hijacked_) throw Error(ErrorCode::internal, "the request has been answered already");
  started_ = true;
  // The client may now send its body or not; what follows on the connection is anyone's guess.
  if (exchange_.continue_awaited) exchange_.keep_alive = false;
  exchange_.continue_awaited = false;
  // More of the request is left than would be read away.
  const auto left = exchange_.body.remaining();
  if (left && *left > limits::kHttpDrainBytes) exchange_.keep_alive = false;
}

// The status line and every field but those of the framing.
void ServerReply::write_head_fields(int status, const Headers& fields) {
  std::string& out = exchange_.head;
  out.clear();
  append_status_line(out, status);
  bool has_date = false;
  bool has_server = false;
  for (const Headers* source : {static_cast<const Headers*>(&headers), &fields}) {
    if (source->has_token("Connection", "close")) exchange_.keep_alive = false;
    for (const auto& [name, value] : source->fields()) {
      if (is_framing_field(name)) continue;
      if (name.size() == 4 && equals_ignoring_case(name, "Date")) has_date = true;
      if (name.size() == 6 && equals_ignoring_case(name, "Server")) {
        has_server = true;
        if (value.empty()) continue;
      }
      append_field(out, name, value);
    }
  }
  if (!has_date) append_date(out);
  if (!has_server && !server_name_.empty()) append_field(out, "Server", server_name_);
  if (!exchange_.keep_alive)
    append_field(out, "Connection", "close");
  else if (request_.minor_version == 0)
    append_field(out, "Connection", "keep-alive");
}

Task<> ServerReply::send(Response response) {
  begin();
  write_head_fields(response.status, response.headers);
  std::string& head = exchange_.head;
  const auto told = response.headers.get("Content-Length");
  // An answer without a body may still tell the length it would have.
  if (has_no_body(response.status) && response.status != 204 && told && response.body.empty())
    append_field(head, "Content-Length", *told);
  else if (response.status != 204 && response.status != 304)
    append_length(head, response.body.size());
  head += "\r\n";
  if (has_no_body(response.status)) response.body.clear();
  if (response.body.size() <= limits::kHttpJoinBytes) {
    head += response.body;
    co_await exchange_.stream.write(head);
  } else {
    std::vector<std::string_view> pieces{head, response.body};
    co_await exchange_.stream.write(std::move(pieces));
  }
  finished_ = true;
}

// The body of a streamed answer.
class StreamedBody final : public BodyWriter {
 public:
  enum class Mode { left_out, sized, chunked, until_close };
  StreamedBody(ServerReply& reply, Mode mode, std::uint64_t length)
      : reply_(reply), mode_(mode), left_(length) {}

  Task<> write(std::string_view data) override {
    if (reply_.finished_ || reply_.hijacked_)
      throw Error(ErrorCode::internal, "the answer is finished already");
    net::Stream& stream = reply_.exchange_.stream;
    if (data.empty()) co_return;  // an empty chunk would be the end
    switch (mode_) {
      case Mode::left_out:
        co_return;
      case Mode::until_close:
        co_await stream.write(data);
        co_return;
      case Mode::sized:
        if (data.size() > left_)
          throw Error(ErrorCode::internal, "the answer has more bytes than its Content-Length");
        left_ -= data.size();
        co_await stream.write(data);
        co_return;
      case Mode::chunked:
        break;
    }
    std::string& out = reply_.exchange_.head;
    out.clear();
    append_chunk_size(out, data.size());
    if (data.size() <= limits::kHttpJoinBytes) {
      out += data;
      out += "\r\n";
      co_await stream.write(out);
    } else {
      std::vector<std::string_view> pieces{out, data, "\r\n"};
      co_await stream.write(std::move(pieces));
    }
  }

  Task<> finish() override {
    if (reply_.finished_ || reply_.hijacked_)
      throw Error(ErrorCode::internal, "the answer is finished already");
    if (mode_ == Mode::sized && left_ > 0)
      throw_error(ErrorCode::internal, "the answer lacks {} bytes of its Content-Length", left_);
    static constexpr std::string_view kLastChunk = "0\r\n\r\n";
    if (mode_ == Mode::chunked) co_await reply_.exchange_.stream.write(kLastChunk);
    reply_.finished_ = true;
  }

 private:
  ServerReply& reply_;
  Mode mode_;
  std::uint64_t left_;
};

Task<std::unique_ptr<BodyWriter>> ServerReply::stream(int status, Headers fields,
                                                      std::optional<std::uint64_t> length) {
  using Mode = StreamedBody::Mode;
  begin();
  Mode mode = length ? Mode::sized : Mode::chunked;
  if (mode == Mode::chunked && request_.minor_version == 0) {
    mode = Mode::until_close;
    exchange_.keep_alive = false;
    ends_by_close_ = !has_no_body(status);
  }
  write_head_fields(status, fields);
  std::string& head = exchange_.head;
  if (status != 204) {
    if (mode == Mode::sized) append_length(head, *length);
    if (mode == Mode::chunked && status != 304) append_field(head, "Transfer-Encoding", "chunked");
  }
  head += "\r\n";
  if (has_no_body(status)) mode = Mode::left_out;
  co_await exchange_.stream.write(head);
  co_return std::make_unique<StreamedBody>(*this, mode, length.value_or(0));
}

Task<WebSocket> ServerReply::accept_websocket(const WebSocketOptions& options) {
  const auto& fields = request_.headers;
  const bool asked = request_.method == "GET" && request_.minor_version >= 1 &&
                     fields.has_token("Connection", "upgrade") && fields.has_token("Upgrade", "websocket");
  if (!asked)
    throw Error(ErrorCode::invalid_argument,
                "this address speaks WebSocket; the request asks for no upgrade to it");
  if (fields.get("Sec-WebSocket-Version") != "13")
    throw Error(ErrorCode::invalid_argument, "the only WebSocket version understood is 13");
  const auto key = fields.get("Sec-WebSocket-Key");
  const auto nonce = key ? base64_decode(*key) : std::nullopt;
  if (!nonce || nonce->size() != 16)
    throw Error(ErrorCode::invalid_argument, "Sec-WebSocket-Key is missing or malformed");

  begin();
  std::string& head = exchange_.head;
  head.clear();
  append_status_line(head, 101);
  append_field(head, "Upgrade", "websocket");
  append_field(head, "Connection", "Upgrade");
  append_field(head, "Sec-WebSocket-Accept", websocket_accept(*key));
  for (const Headers* source : {static_cast<const Headers*>(&headers), &options.headers})
    for (const auto& [name, value] : source->fields())
      if (!is_framing_field(name)) append_field(head, name, value);
  head += "\r\n";
  const std::size_t message_bytes_max =
      options.message_bytes_max != 0 ? options.message_bytes_max : limits::kWebSocketMessageBytes;
  co_await exchange_.stream.write(head);
  std::string unread;
  net::Stream stream = hijack(unread);
  co_return WebSocket(std::move(stream), WebSocket::Role::server, std::move(unread), message_bytes_max);
}

net::Stream ServerReply::hijack(std::string& unread) {
  if (hijacked_) throw Error(ErrorCode::internal, "the connection has been taken already");
  hijacked_ = started_ = true;
  unread = exchange_.reader.take_buffered();
  exchange_.stream.set_stall_limit(std::chrono::seconds(0));
  return std::move(exchange_.stream);
}

Task<> ServerReply::client_gone() {
  if (hijacked_) throw Error(ErrorCode::internal, "the connection has been taken already");
  return exchange_.stream.peer_closed();
}

}  // namespace wrenn::http
