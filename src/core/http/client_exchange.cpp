#include "core/http/client_exchange.h"

#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/http/head_writer.h"

namespace wrenn::http {

ClientExchange::ClientExchange(std::shared_ptr<ClientPool> pool, std::unique_ptr<ClientConnection> connection,
                               std::string method, Client::BodyKind kind, std::uint64_t length)
    : pool_(std::move(pool)),
      connection_(std::move(connection)),
      method_(std::move(method)),
      kind_(kind),
      left_(length),
      body_finished_(kind == Client::BodyKind::none),
      body_(connection_->reader) {
  connection_->stream.set_deadline(std::chrono::seconds(0));
  connection_->stream.set_stall_limit(limits::kHttpBodyStallTimeout);
}

ClientExchange::~ClientExchange() {
  const bool reusable = connection_ && has_head_ && head_.status != 101 && body_.finished() &&
                        body_finished_ && parser_.keep_alive() && connection_->stream.is_open() &&
                        connection_->reader.buffered().empty();
  if (reusable) pool_->put(std::move(connection_));
}

Task<> ClientExchange::start(std::string head, std::string_view body) {
  net::Stream& stream = connection_->stream;
  if (body.size() <= limits::kHttpJoinBytes) {
    head += body;
    co_await stream.write(head);
  } else {
    co_await stream.write(head);
    head_sent_ = true;
    co_await stream.write(body);
  }
  head_sent_ = true;
  if (kind_ == Client::BodyKind::sized && !body.empty()) left_ = 0;
  if (kind_ == Client::BodyKind::sized && left_ == 0) body_finished_ = true;
}

Task<> ClientExchange::write(std::string_view data) {
  if (data.empty()) co_return;
  if (body_finished_)
    throw Error(ErrorCode::internal, "the request body is finished already, or there is none");
  net::Stream& stream = connection_->stream;
  if (kind_ == Client::BodyKind::sized) {
    if (data.size() > left_)
      throw Error(ErrorCode::internal, "the request has more bytes than its Content-Length");
    left_ -= data.size();
    co_await stream.write(data);
    co_return;
  }
  chunk_.clear();
  append_chunk_size(chunk_, data.size());
  if (data.size() <= limits::kHttpJoinBytes) {
    chunk_ += data;
    chunk_ += "\r\n";
    co_await stream.write(chunk_);
  } else {
    std::vector<std::string_view> pieces{chunk_, data, "\r\n"};
    co_await stream.write(std::move(pieces));
  }
}

Task<> ClientExchange::finish_body() {
  if (body_finished_) co_return;
  if (kind_ == Client::BodyKind::sized && left_ > 0)
    throw_error(ErrorCode::internal, "the request lacks {} bytes of its Content-Length", left_);
  static constexpr std::string_view kLastChunk = "0\r\n\r\n";
  if (kind_ == Client::BodyKind::chunked) co_await connection_->stream.write(kLastChunk);
  body_finished_ = true;
}

Task<> ClientExchange::read_head(std::chrono::steady_clock::duration timeout) {
  if (has_head_) co_return;
  auto reading = read_head_unlimited();
  co_await async::with_timeout(timeout, "read the head of the answer", std::move(reading));
}

Task<> ClientExchange::read_head_unlimited() {
  ConnectionReader& reader = connection_->reader;
  // How long a peer may think is the caller's business; the stall limit is for bodies.
  while (!has_head_) {
    const auto bytes = reader.buffered();
    auto result = FieldReader::Result::more;
    if (!bytes.empty()) {
      answer_begun_ = true;
      result = parser_.parse(bytes, head_);
    }
    if (result == FieldReader::Result::refused)
      throw_error(ErrorCode::invalid_argument, "the answer breaks HTTP: {}", parser_.refusal().reason);
    if (result == FieldReader::Result::more) {
      if (!co_await reader.fill())
        throw Error(ErrorCode::unavailable, answer_begun_
                                                ? "the peer broke off inside the head of its answer"
                                                : "the peer closed the connection without an answer");
      continue;
    }
    reader.consume(parser_.size());
    if (head_.status >= 200 || head_.status == 101) {
      body_.begin(parser_.framing(method_, head_.status));
      has_head_ = true;
      break;
    }
    if (++interim_answers_ > limits::kHttpInterimAnswers)
      throw Error(ErrorCode::invalid_argument, "the answer breaks HTTP: it is put off by too many 1xx heads");
    parser_.reset();
    head_ = ResponseHead();
  }
}

net::Stream ClientExchange::take_stream(std::string& unread) {
  if (!has_head_ || head_.status != 101) throw Error(ErrorCode::internal, "the connection was not upgraded");
  unread = connection_->reader.take_buffered();
  connection_->stream.set_stall_limit(std::chrono::seconds(0));
  return std::move(connection_->stream);
}

void ClientExchange::set_stall_limit(std::chrono::seconds limit) noexcept {
  connection_->stream.set_stall_limit(limit);
}

}  // namespace wrenn::http
