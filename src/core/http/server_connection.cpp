#include "core/http/server_connection.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/log/log.h"

namespace wrenn::http {

namespace {

// For servers without a renderer of their own, and as a first guess for those with one.
int status_of(std::exception_ptr error) noexcept {
  switch (code_of(error)) {
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
    case ErrorCode::aborted:
    case ErrorCode::failed_precondition:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::resource_exhausted:
      return 429;
    case ErrorCode::canceled:
      return 499;
    case ErrorCode::unimplemented:
      return 501;
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::deadline_exceeded:
      return 504;
    case ErrorCode::unknown:
    case ErrorCode::internal:
    case ErrorCode::data_loss:
      break;
  }
  return 500;
}

Response render(const ServerOptions& options, int status, std::exception_ptr error,
                const Request* request) noexcept {
  try {
    if (options.render_error) return options.render_error(status, error, request);
  } catch (...) {
    log::error("cannot render an error answer", {{"error", describe(std::current_exception())}});
  }
  // What an unforeseen failure says is for the log, not for the client.
  std::string text = status >= 500 ? std::string(reason_phrase(status)) : describe(error);
  text += '\n';
  return text_response(status, std::move(text));
}

}  // namespace

ServerConnection::ServerConnection(ServerContext& context, net::Stream stream)
    : context_(context),
      exchange_(std::move(stream)),
      parser_(context.options.head_limits),
      peer_(exchange_.stream.peer()) {
  exchange_.stream.set_stall_limit(context.options.body_stall_timeout);
}

void ServerConnection::stop_if_waiting() noexcept {
  if (waiting_) exchange_.stream.close();
}

void ServerConnection::cut_if_marked() noexcept {
  if (marked_) exchange_.stream.close();
}

Task<> ServerConnection::run() {
  try {
    while (!context_.stopping && co_await serve_one()) {
    }
  } catch (...) {
    const auto error = std::current_exception();
    if (async::is_cancellation(error)) throw;
    // The client went away, stalled, or broke the framing when it was too late to say so: its loss.
    log::debug("connection ended", {{"peer", peer_}, {"error", describe(error)}});
  }
}

Task<ServerConnection::Head> ServerConnection::read_head(Request& request) {
  net::Stream& stream = exchange_.stream;
  parser_.reset();
  bool begun = false;
  std::exception_ptr error;
  try {
    for (;;) {
      const auto bytes = exchange_.reader.buffered();
      if (!bytes.empty()) {
        const auto result = parser_.parse(bytes, request);
        if (result == FieldReader::Result::refused) co_return Head::refused;
        if (result == FieldReader::Result::done) break;
        if (!begun) stream.set_deadline(context_.options.head_timeout);
        begun = true;
      } else {
        exchange_.reader.shrink();
        stream.set_deadline(context_.options.idle_timeout);
      }
      waiting_ = bytes.empty();
      const bool more = co_await exchange_.reader.fill();
      waiting_ = false;
      if (!more) co_return Head::closed;
    }
  } catch (...) {
    waiting_ = false;
    error = std::current_exception();
  }
  stream.set_deadline(std::chrono::seconds(0));
  if (!error) {
    exchange_.reader.consume(parser_.size());
    co_return Head::complete;
  }
  if (async::is_cancellation(error)) std::rethrow_exception(error);
  if (code_of(error) == ErrorCode::deadline_exceeded && begun) {
    co_await refuse(408, "the request head took too long");
  }
  co_return Head::closed;
}

Task<bool> ServerConnection::serve_one() {
  Request request;
  const Head head = co_await read_head(request);
  if (head == Head::closed) co_return false;
  if (head == Head::refused) {
    exchange_.stream.set_deadline(std::chrono::seconds(0));
    co_await refuse(parser_.refusal().status, parser_.refusal().reason);
    co_return false;
  }

  marked_ = false;
  exchange_.body.begin(parser_.framing());
  exchange_.keep_alive = parser_.keep_alive() && !context_.stopping;
  exchange_.continue_awaited = parser_.expects_continue();
  ServerBody body(exchange_);
  request.body = &body;
  request.peer = peer_;
  ServerReply reply(exchange_, request, context_.options.name);

  std::exception_ptr error;
  try {
    co_await context_.handler(request, reply);
    if (!reply.started()) throw Error(ErrorCode::internal, "the handler has not answered");
  } catch (...) {
    error = std::current_exception();
  }
  // Being cancelled from outside (the server stops) needs no answer; a cancellation of its own is a failure
  // like any.
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) co_return false;
  if (reply.hijacked()) {
    if (error && !async::is_cancellation(error))
      log::debug("upgraded connection ended", {{"peer", peer_}, {"error", describe(error)}});
    co_return false;
  }
  if (error) {
    if (!reply.started()) {
      co_await answer_error(reply, status_of(error), error, &request);
    } else if (!reply.finished()) {
      log::debug("answer cut", {{"peer", peer_}, {"path", request.path}, {"error", describe(error)}});
    } else {
      log::warn("handler failed after its answer", {{"path", request.path}, {"error", describe(error)}});
    }
  }
  if (!reply.finished()) {
    if (reply.ends_by_close()) exchange_.stream.abort();
    co_return false;
  }
  if (!exchange_.body.finished() && !co_await drain_body()) {
    co_await linger();
    co_return false;
  }
  co_return exchange_.keep_alive;
}

Task<> ServerConnection::answer_error(ServerReply& reply, int status, std::exception_ptr error,
                                      const Request* request) {
  // A body that is broken or stalled leaves nothing to read the next request from.
  if (!exchange_.body.finished() && exchange_.body.framing().kind != Framing::Kind::none &&
      (status == 400 || status == 504 || !exchange_.stream.is_open()))
    exchange_.keep_alive = false;
  if (!exchange_.stream.is_open()) co_return;
  auto response = render(context_.options, status, error, request);
  co_await reply.send(std::move(response));
}

// Reads away what the handler did not want; false if that is not worth it, or the client holds it back.
Task<bool> ServerConnection::drain_body() {
  if (!exchange_.keep_alive) co_return false;
  net::Stream& stream = exchange_.stream;
  stream.set_deadline(limits::kHttpDrainTimeout);
  const auto buffer = std::make_unique_for_overwrite<char[]>(limits::kHttpReadBufferBytes);
  const std::span<char> space(buffer.get(), limits::kHttpReadBufferBytes);
  std::size_t drained = 0;
  try {
    while (!exchange_.body.finished() && drained <= limits::kHttpDrainBytes) {
      drained += co_await exchange_.body.read_some(space);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
  stream.set_deadline(std::chrono::seconds(0));
  co_return exchange_.body.finished();
}

// Answers a request that could not even be read, and ends the connection.
Task<> ServerConnection::refuse(int status, std::string_view reason) {
  Request none;
  exchange_.keep_alive = false;
  exchange_.continue_awaited = false;
  exchange_.body.begin(Framing{});
  ServerReply reply(exchange_, none, context_.options.name);
  const auto error = std::make_exception_ptr(Error(ErrorCode::invalid_argument, std::string(reason)));
  auto response = render(context_.options, status, error, nullptr);
  co_await reply.send(std::move(response));
  co_await linger();
}

// Closing with unread bytes in the kernel resets the connection, and a reset can overtake the answer. So the
// answer is ended first, and the client gets a moment to read it and to close.
Task<> ServerConnection::linger() {
  net::Stream& stream = exchange_.stream;
  stream.shutdown_write();
  stream.set_deadline(limits::kHttpLingerTimeout);
  const auto buffer = std::make_unique_for_overwrite<char[]>(limits::kHttpReadBufferBytes);
  const std::span<char> space(buffer.get(), limits::kHttpReadBufferBytes);
  std::size_t dropped = 0;
  try {
    for (;;) {
      const std::size_t got = co_await stream.read_some(space);
      dropped += got;
      if (got == 0 || dropped > limits::kHttpLingerBytes) break;
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
  }
}

}  // namespace wrenn::http
