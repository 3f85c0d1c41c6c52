// A server on a loopback port and a client that writes and reads raw bytes.
#pragma once

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <string_view>

#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/error.h"
#include "core/http/client.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "coroutine_test.h"

namespace wrenn::test {

using async::Task;
using namespace std::chrono_literals;

// Bytes as they are on the wire, with a limit on every wait.
class RawClient {
 public:
  explicit RawClient(net::Stream stream) : stream_(std::move(stream)) {}
  static Task<RawClient> connect(net::Address address) {
    net::Stream stream = co_await net::connect(address, 5s);
    co_return RawClient(std::move(stream));
  }

  Task<> send(std::string data) { co_await stream_.write(data); }
  // Up to and with `mark`. Throws Error(unavailable) when the connection ends before.
  Task<std::string> read_until(std::string mark);
  Task<std::string> read_exactly(std::size_t size);
  // Until the end of the stream; a reset counts as one.
  Task<std::string> read_to_end();
  // A head and the body that its Content-Length announces.
  Task<std::string> read_answer();
  // True if nothing comes for `time`.
  Task<bool> silent_for(std::chrono::milliseconds time);

  net::Stream& stream() { return stream_; }
  void close() { stream_.close(); }

 private:
  Task<bool> fill();
  net::Stream stream_;
  std::string buffer_;
};

// Runs `body` against a server with `handler`; stops the server afterwards, however the body ended.
struct TestServer {
  TestServer(async::Executor executor, http::Handler handler, http::ServerOptions options)
      : listener(executor, net::Address::parse("127.0.0.1:0")),
        server(executor, std::move(handler), std::move(options)) {}
  const net::Address& address() const { return listener.address(); }
  Task<RawClient> connect() const { return RawClient::connect(address()); }

  net::Listener listener;
  http::Server server;
};

using ServerBody = std::function<Task<>(TestServer&)>;
Task<> with_server(http::Handler handler, http::ServerOptions options, ServerBody body);

// The same with a listener whose connections are served by `peer`, which may break every rule.
using PeerFunction = std::function<Task<>(RawClient&)>;
using PeerBody = std::function<Task<>(net::Address)>;
Task<> with_peer(PeerFunction peer, PeerBody body);

// What the answer's status line says, and its body.
int status_of(std::string_view answer);
std::string body_of(std::string_view answer);

}  // namespace wrenn::test
