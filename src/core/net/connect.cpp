// Opening a connection: addresses to endpoints, endpoints to a stream.

#include <netdb.h>

#include <cstring>
#include <thread>

#include "core/async/event.h"
#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/net/stream.h"
#include "core/net/tcp_options.h"

namespace wrenn::net {

namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

struct Lookup {
  explicit Lookup(async::Executor executor) : done(std::move(executor)) {}
  async::Event done;
  bool finished = false;
  int error = 0;
  std::vector<asio::ip::address> addresses;
};

// getaddrinfo can block for as long as name servers stay silent, and it cannot be cancelled. So the thread is
// not joined: whoever awaits may give up, and the thread then finishes into a Lookup that nobody reads. The
// work guard keeps the loop alive until it has; in a static binary glibc loads its resolver modules at run
// time, which is why addresses and "localhost" never come here.
void resolve_on_thread(const std::shared_ptr<Lookup>& lookup, async::Executor executor, std::string host) {
  auto guard = asio::prefer(executor, asio::execution::outstanding_work.tracked);
  std::thread([lookup, guard, host = std::move(host)]() mutable {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    std::vector<asio::ip::address> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
      asio::ip::tcp::endpoint endpoint;
      if (entry->ai_addrlen > endpoint.capacity()) continue;
      std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
      addresses.push_back(endpoint.address());
    }
    if (found != nullptr) ::freeaddrinfo(found);
    const auto target = guard;
    asio::post(target, [lookup = std::move(lookup), error, addresses = std::move(addresses)]() mutable {
      lookup->error = error;
      lookup->addresses = std::move(addresses);
      lookup->finished = true;
      lookup->done.notify_all();
    });
  }).detach();
}

Task<std::vector<asio::ip::address>> resolve(std::string host) {
  std::vector<asio::ip::address> addresses;
  if (host.empty() || host == "localhost") {
    addresses.push_back(asio::ip::address_v4::loopback());
    addresses.push_back(asio::ip::address_v6::loopback());
    co_return addresses;
  }
  asio::error_code error;
  const auto literal = asio::ip::make_address(host, error);
  if (!error) {
    addresses.push_back(literal);
    co_return addresses;
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(executor);
  resolve_on_thread(lookup, executor, host);
  while (!lookup->finished) co_await lookup->done.wait();
  if (lookup->addresses.empty())
    throw_error(lookup->error == EAI_AGAIN ? ErrorCode::unavailable : ErrorCode::not_found,
                "look up host \"{}\": {}", host,
                lookup->error == 0 ? "it has no address" : ::gai_strerror(lookup->error));
  co_return std::move(lookup->addresses);
}

Task<std::vector<Endpoint>> endpoints_of(Address address) {
  std::vector<Endpoint> endpoints;
  if (address.is_unix()) {
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(address.path()));
    co_return endpoints;
  }
  const auto found = co_await resolve(address.host());
  for (const auto& ip : found) endpoints.emplace_back(asio::ip::tcp::endpoint(ip, address.port()));
  co_return endpoints;
}

Task<std::optional<Stream>> try_endpoint(Endpoint endpoint, bool is_unix, asio::error_code& error) {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    Stream::Socket socket(executor);
    socket.open(endpoint.protocol(), error);
    if (error) co_return std::nullopt;
    co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) async::throw_asio(error, "connect");
    // The listener's queue is full, which a Unix socket says at once instead of waiting for room (Asio's name
    // for its EAGAIN). The caller's deadline ends this.
    if (is_unix && error == asio::error::no_buffer_space) {
      co_await async::sleep(limits::kUnixConnectRetry);
      continue;
    }
    if (error) co_return std::nullopt;
    if (!is_unix) set_tcp_options(socket.native_handle());
    co_return Stream(std::move(socket));
  }
}

Task<Stream> connect_unlimited(Address address) {
  const auto endpoints = co_await endpoints_of(address);
  asio::error_code first_error;  // of several, the preferred endpoint's says most
  for (const auto& endpoint : endpoints) {
    asio::error_code error;
    auto stream = co_await try_endpoint(endpoint, address.is_unix(), error);
    if (stream) co_return std::move(*stream);
    if (!first_error) first_error = error;
  }
  const bool out_of_descriptors = first_error.value() == EMFILE || first_error.value() == ENFILE;
  throw_error(out_of_descriptors ? ErrorCode::resource_exhausted : ErrorCode::unavailable,
              "connect to {}: {}", address.text(), first_error.message());
}

}  // namespace

Task<Stream> connect(Address address, std::chrono::steady_clock::duration timeout) {
  const std::string what = "connect to " + address.text();
  auto connecting = connect_unlimited(std::move(address));
  co_return co_await async::with_timeout(timeout, what, std::move(connecting));
}

}  // namespace wrenn::net
