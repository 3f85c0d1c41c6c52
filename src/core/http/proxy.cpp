#include "core/http/proxy.h"

#include <array>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/http/head_writer.h"
#include "core/net/transfer_buffer.h"

namespace wrenn::http {

namespace {

// RFC 9110 §7.6.1, and what older software takes for hop-by-hop.
constexpr std::array<std::string_view, 9> kHopByHop = {
    "Connection", "Keep-Alive",        "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE",
    "Trailer",    "Transfer-Encoding", "Upgrade"};

bool is_hop_by_hop(std::string_view name, const Headers& headers) noexcept {
  for (const auto hop : kHopByHop)
    if (equals_ignoring_case(name, hop)) return true;
  return headers.has_token("Connection", name);
}

Headers end_to_end(const Headers& headers) {
  Headers kept;
  for (const auto& [name, value] : headers.fields())
    if (!is_hop_by_hop(name, headers)) kept.add(name, value);
  return kept;
}

// The protocol a message wants to change to; empty if it does not.
std::string upgrade_of(const Headers& headers) {
  if (!headers.has_token("Connection", "upgrade")) return {};
  return std::string(headers.get("Upgrade").value_or(""));
}

Headers upstream_headers(const Request& request, const ProxyOptions& options) {
  Headers headers = end_to_end(request.headers);
  // We answer it ourselves, when the body is first wanted.
  headers.remove("Expect");
  headers.remove("Host");
  if (!options.host.empty()) headers.set("Host", options.host);
  for (const auto& name : options.remove) headers.remove(name);
  for (const auto& [name, value] : options.set.fields()) headers.set(name, value);
  if (const auto protocol = upgrade_of(request.headers); !protocol.empty()) {
    headers.set("Connection", "Upgrade");
    headers.set("Upgrade", protocol);
  }
  return headers;
}

Client::BodyKind body_kind(const Request& request) noexcept {
  if (request.headers.has("Transfer-Encoding")) return Client::BodyKind::chunked;
  if (request.headers.has("Content-Length")) return Client::BodyKind::sized;
  return Client::BodyKind::none;
}

// Inside a catch.
[[noreturn]] void blame_upstream(const Error& error) {
  if (error.code() == ErrorCode::canceled) throw;
  throw UpstreamError(error.code(), error.what());
}

Task<std::unique_ptr<Exchange>> begin(Client& upstream, std::string method, std::string target,
                                      Headers headers, Client::BodyKind kind) {
  try {
    co_return co_await upstream.begin(std::move(method), std::move(target), std::move(headers), kind);
  } catch (const Error& error) {
    blame_upstream(error);
  }
}

struct Passage {
  Request& request;
  Reply& reply;
  Exchange& exchange;
  const ProxyOptions& options;
  bool upgraded = false;
  bool uploading = false;  // the body has moved since somebody last looked

  void moved() const {
    if (options.on_bytes) options.on_bytes();
  }
};

[[noreturn]] void client_is_gone() {
  throw Error(ErrorCode::canceled, "the client is gone");
}

// The caller must not take a client that went away for an upstream that did.
Task<std::size_t> read_from_client(Passage& passage, std::span<char> space) {
  try {
    co_return co_await passage.request.body->read_some(space);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
  }
  client_is_gone();
}

// Passes the request's body on, then watches for the client's end; so this returns only when the client is
// gone.
Task<> upload_then_watch(Passage& passage) {
  net::TransferBuffer buffer;
  bool heard = true;  // the upstream still takes the body
  while (heard) {
    const std::string_view data = buffer.took(co_await read_from_client(passage, buffer.space()));
    passage.moved();
    try {
      if (data.empty()) {
        co_await passage.exchange.finish_body();
        break;
      }
      co_await passage.exchange.write(data);
      passage.uploading = true;
    } catch (const Error& error) {
      // An upstream may answer and close before it has read everything; its answer tells.
      if (error.code() != ErrorCode::unavailable) blame_upstream(error);
      heard = false;
    }
  }
  co_await passage.reply.client_gone();
}

std::optional<std::uint64_t> announced_length(const Headers& headers) noexcept {
  const auto field = headers.get("Content-Length");
  return field ? parse_int<std::uint64_t>(*field) : std::nullopt;
}

// An upstream may answer after the last byte of a body that takes hours: its time counts while nothing moves.
Task<> read_head(Passage& passage) {
  for (;;) {
    passage.uploading = false;
    try {
      co_await passage.exchange.read_head(passage.options.head_timeout);
      co_return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::deadline_exceeded || !passage.uploading) blame_upstream(error);
    }
  }
}

Task<> download(Passage& passage) {
  Exchange& exchange = passage.exchange;
  // The limit above is enough before the head. After it, event streams may stay silent for long; the ends of
  // both connections are watched, and kept alive by the kernel.
  exchange.set_stall_limit(std::chrono::seconds(0));
  co_await read_head(passage);
  if (exchange.status() == 101) {
    passage.upgraded = true;
    co_return;
  }
  Headers headers = end_to_end(exchange.headers());
  const auto length = announced_length(headers);
  headers.remove("Content-Length");
  // The answer is the upstream's: where it does not say who it is, we are not it. (An empty field is left
  // out.)
  if (!headers.has("Server")) headers.set("Server", "");
  auto writer = co_await passage.reply.stream(exchange.status(), std::move(headers), length);
  net::TransferBuffer buffer;
  for (;;) {
    const std::string_view data = buffer.took(co_await exchange.body().read_some(buffer.space()));
    if (data.empty()) break;
    passage.moved();
    co_await writer->write(data);
  }
  co_await writer->finish();
}

Task<> pass_upgrade(Passage& passage) {
  const auto asked = upgrade_of(passage.request.headers);
  if (asked.empty())
    throw UpstreamError(ErrorCode::invalid_argument,
                        "the upstream upgraded a connection that nobody asked to upgrade");
  std::string head;
  append_status_line(head, 101);
  const Headers& fields = passage.exchange.headers();
  for (const Headers& source : {passage.reply.headers, end_to_end(fields)})
    for (const auto& [name, value] : source.fields())
      if (!is_framing_field(name)) append_field(head, name, value);
  append_field(head, "Connection", "Upgrade");
  append_field(head, "Upgrade", fields.get("Upgrade").value_or(asked));
  head += "\r\n";

  std::string unread_by_client;
  std::string unread_by_upstream;
  net::Stream client = passage.reply.hijack(unread_by_client);
  net::Stream upstream = passage.exchange.take_stream(unread_by_upstream);
  std::exception_ptr failure;
  try {
    co_await client.write(head);
    co_await net::pump(client, upstream, std::move(unread_by_client), std::move(unread_by_upstream),
                       passage.options.on_bytes);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  // Broken off, by a peer or by whoever cancelled this: neither side may take it for a proper end.
  client.abort();
  upstream.abort();
  std::rethrow_exception(failure);
}

}  // namespace

Task<> proxy(Request& request, Reply& reply, Client& upstream, const ProxyOptions& options) {
  auto headers = upstream_headers(request, options);
  const auto kind = body_kind(request);
  auto exchange = co_await begin(upstream, request.method, options.target, std::move(headers), kind);
  Passage passage{request, reply, *exchange, options};
  auto down = download(passage);
  auto up = upload_then_watch(passage);
  const int first = co_await async::first_of(std::move(down), std::move(up));
  if (first == 1) client_is_gone();
  if (passage.upgraded) co_await pass_upgrade(passage);
}

}  // namespace wrenn::http
