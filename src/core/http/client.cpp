#include "core/http/client.h"

#include <algorithm>

#include "core/async/timeout.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/http/characters.h"
#include "core/http/client_exchange.h"
#include "core/http/head_writer.h"

namespace wrenn::http {

struct Client::Impl final : ClientPool {
  net::Address address;
  ClientOptions options;
  std::string host;
  std::vector<std::unique_ptr<ClientConnection>> idle;  // the most recently used last
  bool gone = false;                                    // the client: nobody will take a connection again

  void put(std::unique_ptr<ClientConnection> connection) noexcept override;
  std::unique_ptr<ClientConnection> take() noexcept;
  Task<std::unique_ptr<ClientConnection>> open();
  static Task<Response> send(std::shared_ptr<Impl> self, ClientRequest request);
  std::string head_of(std::string_view method, std::string_view target, const Headers& headers, BodyKind kind,
                      std::optional<std::uint64_t> length) const;
};

namespace {

bool is_idempotent(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

void check_request_line(std::string_view method, std::string_view target) {
  if (!is_token(method) || method.size() > limits::kHttpMethodBytes)
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no HTTP method", method);
  if (!is_target(target) || (target.front() != '/' && target != "*"))
    throw_error(ErrorCode::invalid_argument,
                "\"{}\" is no request target: it begins with / and has no blanks", target);
}

std::uint64_t length_of(const Headers& headers) {
  const auto field = headers.get("Content-Length");
  const auto length = field ? parse_int<std::uint64_t>(*field) : std::nullopt;
  if (!length) throw Error(ErrorCode::internal, "a sized request body needs a Content-Length");
  return *length;
}

}  // namespace

// A connection in the list carries a deadline that closes it, so that an idle client holds no connection for
// ever.
void Client::Impl::put(std::unique_ptr<ClientConnection> connection) noexcept {
  if (gone || options.idle_connections_max == 0) return;
  connection->reused = true;
  connection->reader.shrink();
  connection->stream.set_stall_limit(std::chrono::seconds(0));
  connection->stream.set_deadline(options.idle_timeout);
  try {
    if (idle.size() >= options.idle_connections_max) idle.erase(idle.begin());
    idle.push_back(std::move(connection));
  } catch (...) {
    // No memory to remember it: it is closed.
  }
}

std::unique_ptr<ClientConnection> Client::Impl::take() noexcept {
  while (!idle.empty()) {
    auto connection = std::move(idle.back());
    idle.pop_back();
    // Closed by the peer meanwhile, or it speaks without being asked: an answer to nothing would be taken for
    // ours.
    if (!connection->stream.has_news()) return connection;
  }
  return nullptr;
}

Task<std::unique_ptr<ClientConnection>> Client::Impl::open() {
  const auto timeout =
      options.connect_timeout.count() > 0 ? options.connect_timeout : limits::kHttpConnectTimeout;
  net::Stream stream = co_await net::connect(address, timeout);
  co_return std::make_unique<ClientConnection>(std::move(stream));
}

std::string Client::Impl::head_of(std::string_view method, std::string_view target, const Headers& headers,
                                  BodyKind kind, std::optional<std::uint64_t> length) const {
  check_request_line(method, target);
  std::string head;
  head.reserve(512);
  head += method;
  head += ' ';
  head += target;
  head += " HTTP/1.1\r\n";
  append_field(head, "Host", headers.get("Host").value_or(host));
  if (const auto connection = headers.get("Connection")) append_field(head, "Connection", *connection);
  const auto append = [&](const Headers& source) {
    for (const auto& [name, value] : source.fields())
      if (!is_framing_field(name) && !equals_ignoring_case(name, "Host")) append_field(head, name, value);
  };
  append(headers);
  for (const auto& [name, value] : options.headers.fields())
    if (!headers.has(name) && !is_framing_field(name) && !equals_ignoring_case(name, "Host"))
      append_field(head, name, value);
  if (kind == BodyKind::chunked) append_field(head, "Transfer-Encoding", "chunked");
  if (kind == BodyKind::sized) append_length(head, *length);
  head += "\r\n";
  return head;
}

Error blame_peer(std::string_view who, const Error& error) {
  const bool nonsense = error.code() == ErrorCode::invalid_argument || error.code() == ErrorCode::too_large;
  return Error(nonsense ? ErrorCode::internal : error.code(), fmt::format("{}: {}", who, error.what()));
}

Client::Client(async::Executor, net::Address address, ClientOptions options)
    : impl_(std::make_shared<Impl>()) {
  impl_->address = std::move(address);
  impl_->options = std::move(options);
  impl_->host = impl_->options.host;
  if (impl_->host.empty()) impl_->host = impl_->address.is_unix() ? "localhost" : impl_->address.text();
}

Client::~Client() {
  impl_->gone = true;
  drop_idle();
}

const net::Address& Client::address() const noexcept {
  return impl_->address;
}

void Client::drop_idle() noexcept {
  impl_->idle.clear();
}

namespace {

// Sends a body while it watches for the answer: a server may refuse a body long before its end, and then
// reads no more of it. Whichever comes first decides; the head can still be read after an interrupted wait.
Task<> send_and_read_head(ClientExchange& exchange, std::string head, std::string_view body) {
  if (body.size() <= limits::kHttpJoinBytes) {
    co_await exchange.start(std::move(head), body);
    co_await exchange.read_head_unlimited();
    co_return;
  }
  std::exception_ptr error;
  try {
    auto sending = exchange.start(std::move(head), body);
    auto reading = exchange.read_head_unlimited();
    co_await async::first_of(std::move(sending), std::move(reading));
  } catch (const Error& failure) {
    // The peer may have answered before it closed its ear.
    if (failure.code() != ErrorCode::unavailable || !exchange.head_sent()) throw;
    error = std::current_exception();
  }
  if (error) {
    try {
      co_await exchange.read_head_unlimited();
    } catch (const Error&) {
      if (!exchange.has_head()) std::rethrow_exception(error);
    }
  }
  co_await exchange.read_head_unlimited();
}

}  // namespace

// One attempt; absent when the connection was kept alive, turned out dead, and the request may be sent again.
static Task<std::optional<Response>> attempt(ClientExchange& exchange, std::string head,
                                             const ClientRequest& request, bool repeatable) {
  std::exception_ptr error;
  try {
    co_await send_and_read_head(exchange, std::move(head), request.body);
  } catch (const Error& failure) {
    const bool dead =
        failure.code() == ErrorCode::unavailable && exchange.reused() && !exchange.answer_begun();
    if (dead && (repeatable || !exchange.head_sent())) co_return std::nullopt;
    throw;
  }
  if (exchange.status() == 101)
    throw Error(ErrorCode::invalid_argument, "the answer breaks HTTP: an upgrade that nobody asked for");
  Response response;
  response.status = exchange.status();
  response.body = co_await exchange.body().read_all(request.response_bytes_max);
  response.headers = exchange.take_headers();
  co_return response;
}

Task<Response> Client::Impl::send(std::shared_ptr<Impl> self, ClientRequest request) {
  const bool has_body = !request.body.empty() || request.method == "POST" || request.method == "PUT" ||
                        request.method == "PATCH";
  const auto kind = has_body ? Client::BodyKind::sized : Client::BodyKind::none;
  const std::string head =
      self->head_of(request.method, request.target, request.headers, kind, request.body.size());
  const bool repeatable = request.repeatable.value_or(is_idempotent(request.method));
  for (bool fresh = false;; fresh = true) {
    auto connection = fresh ? nullptr : self->take();
    if (!connection) connection = co_await self->open();
    ClientExchange exchange(self, std::move(connection), request.method, kind, request.body.size());
    exchange.set_stall_limit(std::chrono::seconds(0));  // the request's own deadline is enough
    auto response = co_await attempt(exchange, head, request, repeatable);
    if (response) co_return std::move(*response);
  }
}

Task<Response> Client::send(ClientRequest request) {
  const auto impl = impl_;
  const std::string what = fmt::format("{} {} at {}", request.method, request.target, impl->address.text());
  const auto timeout = request.timeout;
  auto sending = Impl::send(impl, std::move(request));
  co_return co_await async::with_timeout(timeout, what, std::move(sending));
}

Task<std::unique_ptr<Exchange>> Client::begin(std::string method, std::string target, Headers headers,
                                              BodyKind kind) {
  const auto impl = impl_;
  const std::uint64_t length = kind == BodyKind::sized ? length_of(headers) : 0;
  const std::string head = impl->head_of(method, target, headers, kind, length);
  for (bool fresh = false;; fresh = true) {
    auto connection = fresh ? nullptr : impl->take();
    if (!connection) connection = co_await impl->open();
    auto exchange = std::make_unique<ClientExchange>(impl, std::move(connection), method, kind, length);
    try {
      co_await exchange->start(head, {});
      co_return exchange;
    } catch (const Error& error) {
      if (fresh || error.code() != ErrorCode::unavailable || !exchange->reused()) throw;
    }
  }
}

Task<> Client::prepare() {
  const auto impl = impl_;
  auto connection = impl->take();
  if (!connection) connection = co_await impl->open();
  impl->put(std::move(connection));
}

Task<WebSocket> Client::websocket(std::string target, Headers headers) {
  const auto impl = impl_;
  const auto nonce = hex_decode(random_hex(16));
  const std::string key = base64_encode(*nonce);
  headers.set("Connection", "Upgrade");
  headers.set("Upgrade", "websocket");
  headers.set("Sec-WebSocket-Version", "13");
  headers.set("Sec-WebSocket-Key", key);
  auto exchange = co_await begin("GET", std::move(target), std::move(headers), BodyKind::none);
  const auto timeout =
      impl->options.connect_timeout.count() > 0 ? impl->options.connect_timeout : limits::kHttpConnectTimeout;
  co_await exchange->read_head(timeout);
  if (exchange->status() != 101) {
    const int status = exchange->status();
    const auto code = status == 404   ? ErrorCode::not_found
                      : status == 401 ? ErrorCode::unauthenticated
                      : status == 403 ? ErrorCode::permission_denied
                      : status >= 500 ? ErrorCode::unavailable
                                      : ErrorCode::failed_precondition;
    throw_error(code, "{} refused the WebSocket with status {} {}", impl->address.text(), status,
                reason_phrase(status));
  }
  const auto& fields = exchange->headers();
  if (!fields.has_token("Upgrade", "websocket") || !fields.has_token("Connection", "upgrade") ||
      fields.get("Sec-WebSocket-Accept") != websocket_accept(key))
    throw_error(ErrorCode::invalid_argument, "{} completed the WebSocket handshake wrongly",
                impl->address.text());
  std::string unread;
  net::Stream stream = exchange->take_stream(unread);
  co_return WebSocket(std::move(stream), WebSocket::Role::client, std::move(unread),
                      limits::kWebSocketMessageBytes);
}

}  // namespace wrenn::http
