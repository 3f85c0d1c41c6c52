// The calling side of Connect.
#include "core/async/timeout.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/http/connect_rpc.h"
#include "core/http/field_value.h"

namespace wrenn::http {

namespace {

constexpr std::size_t kErrorBodyBytes = 64 * 1024;  // of an answer that is an error
constexpr std::size_t kShownTypeBytes = 100;        // of a wrong content type in a message

bool has_type(const Headers& headers, std::string_view expected) {
  const auto field = headers.get("Content-Type");
  const auto type = field ? parse_field_value(*field) : std::nullopt;
  return type && type->value == expected;
}

Error wrong_type(std::string_view what, const Headers& headers, std::string_view expected) {
  const auto type = headers.get("Content-Type").value_or("none");
  return Error(ErrorCode::internal, fmt::format("{}: the answer has the content type {}, not {}", what,
                                                sanitize_utf8(type.substr(0, kShownTypeBytes)), expected));
}

Headers call_headers(Headers headers, std::string_view type) {
  headers.set("Content-Type", type);
  headers.set("Connect-Protocol-Version", "1");
  return headers;
}

// Whole request, whole answer. A peer that breaks HTTP is not the caller's mistake.
Task<Response> send(Client& client, ClientRequest request) {
  const std::string what = request.target;
  try {
    co_return co_await client.send(std::move(request));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    throw blame_peer(what, error);
  }
}

Task<std::optional<EnvelopeReader::Envelope>> next_envelope(EnvelopeReader& reader) {
  try {
    co_return co_await reader.next();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    throw blame_peer("the answer", error);
  }
}

Task<> read_to_end(Body& body) {
  char byte;
  const std::span<char> buffer(&byte, 1);
  co_await body.read_some(buffer);  // anything but the end costs the connection, see Exchange
}

}  // namespace

ConnectCall::ConnectCall(std::unique_ptr<Exchange> exchange)
    : exchange_(std::move(exchange)), reader_(std::make_unique<EnvelopeReader>(exchange_->body())) {}

Task<ConnectCall> ConnectCall::start(Client& client, std::string target, Headers headers, std::string json,
                                     std::chrono::steady_clock::duration timeout) {
  const auto envelope = connect_envelope(json);
  headers = call_headers(std::move(headers), kConnectStreamJson);
  headers.set("Content-Length", fmt::format("{}", envelope.size()));
  auto exchange = co_await client.begin("POST", target, std::move(headers), Client::BodyKind::sized);
  co_await exchange->write(envelope);
  co_await exchange->finish_body();
  std::string failure;
  try {
    co_await exchange->read_head(timeout);
    if (exchange->status() != 200) failure = co_await exchange->body().read_all(kErrorBodyBytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    throw blame_peer(target, error);
  }
  if (exchange->status() != 200) throw connect_error_of(target, exchange->status(), failure);
  if (!has_type(exchange->headers(), kConnectStreamJson))
    throw wrong_type(target, exchange->headers(), kConnectStreamJson);
  exchange->set_stall_limit(std::chrono::seconds(0));
  co_return ConnectCall(std::move(exchange));
}

Task<ConnectCall> ConnectCall::begin(Client& client, std::string target, Headers headers, std::string json,
                                     std::chrono::steady_clock::duration timeout) {
  const auto what = target;
  auto starting = start(client, std::move(target), std::move(headers), std::move(json), timeout);
  co_return co_await async::with_timeout<ConnectCall>(timeout, what, std::move(starting));
}

Task<std::optional<std::string>> ConnectCall::next() {
  if (ended_) co_return std::nullopt;
  auto envelope = co_await next_envelope(*reader_);
  if (!envelope) throw Error(ErrorCode::unavailable, "Connect stream: it broke off without an end message");
  if (!envelope->end) co_return std::move(envelope->message);
  ended_ = true;
  try {
    // Behind the end only the end of the HTTP body may come; then the connection can be used again. It must
    // not be waited for long: a peer may keep it back.
    auto reading = read_to_end(exchange_->body());
    co_await async::with_timeout(limits::kConnectEndTimeout, "end of a Connect stream", std::move(reading));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
  if (auto error = connect_end_error(envelope->message)) throw std::move(*error);
  co_return std::nullopt;
}

Task<std::string> connect_unary(Client& client, std::string target, Headers headers, std::string json,
                                std::chrono::steady_clock::duration timeout,
                                std::uint64_t response_bytes_max) {
  ClientRequest request;
  request.method = "POST";
  request.target = target;
  request.headers = call_headers(std::move(headers), kConnectJson);
  request.body = std::move(json);
  request.timeout = timeout;
  request.response_bytes_max = response_bytes_max;
  auto response = co_await send(client, std::move(request));
  if (response.status != 200) throw connect_error_of(target, response.status, response.body);
  if (!has_type(response.headers, kConnectJson)) throw wrong_type(target, response.headers, kConnectJson);
  co_return std::move(response.body);
}

}  // namespace wrenn::http
