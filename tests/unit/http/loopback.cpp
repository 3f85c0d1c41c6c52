#include "loopback.h"

namespace wrenn::test {

namespace {

constexpr auto kPatience = 15s;

Task<> copy_some(net::Stream& stream, std::string& into, bool& more) {
  std::vector<char> space(64 * 1024);
  const std::size_t got = co_await stream.read_some(space);
  into.append(space.data(), got);
  more = got > 0;
}

}  // namespace

Task<bool> RawClient::fill() {
  bool more = false;
  auto reading = copy_some(stream_, buffer_, more);
  co_await async::with_timeout(kPatience, "read", std::move(reading));
  co_return more;
}

Task<std::string> RawClient::read_until(std::string mark) {
  for (;;) {
    const auto at = buffer_.find(mark);
    if (at != buffer_.npos) {
      std::string found = buffer_.substr(0, at + mark.size());
      buffer_.erase(0, found.size());
      co_return found;
    }
    if (!co_await fill()) throw Error(ErrorCode::unavailable, "the end, after: " + buffer_);
  }
}

Task<std::string> RawClient::read_exactly(std::size_t size) {
  while (buffer_.size() < size) {
    if (!co_await fill()) throw Error(ErrorCode::unavailable, "the end, after: " + buffer_);
  }
  std::string found = buffer_.substr(0, size);
  buffer_.erase(0, size);
  co_return found;
}

Task<std::string> RawClient::read_to_end() {
  try {
    while (co_await fill()) {
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
  }
  co_return std::move(buffer_);
}

Task<std::string> RawClient::read_answer() {
  std::string answer = co_await read_until("\r\n\r\n");
  static constexpr std::string_view kField = "Content-Length: ";
  const auto at = answer.find(kField);
  const std::size_t length = at == answer.npos ? 0 : std::stoul(answer.substr(at + kField.size()));
  answer += co_await read_exactly(length);
  co_return answer;
}

Task<bool> RawClient::silent_for(std::chrono::milliseconds time) {
  if (!buffer_.empty()) co_return false;
  bool more = false;
  auto reading = copy_some(stream_, buffer_, more);
  auto waiting = async::sleep(time);
  co_return co_await async::first_of(std::move(reading), std::move(waiting)) == 1;
}

Task<> with_server(http::Handler handler, http::ServerOptions options, ServerBody body) {
  const auto executor = co_await asio::this_coro::executor;
  TestServer server(executor, std::move(handler), std::move(options));
  async::Scope scope(executor, "test server");
  scope.spawn(server.server.serve(server.listener));
  std::exception_ptr error;
  try {
    co_await body(server);
  } catch (...) {
    error = std::current_exception();
  }
  co_await server.server.stop(0s);
  co_await scope.join();
  CHECK(server.server.open_connections() == 0);
  if (error) std::rethrow_exception(error);
}

namespace {

Task<> serve_peer(net::Stream stream, const PeerFunction& peer) {
  RawClient connection(std::move(stream));
  try {
    co_await peer(connection);
  } catch (const Error&) {
    // The client hung up on us, which is often the point.
  }
}

Task<> accept_peers(net::Listener& listener, const PeerFunction& peer, async::Scope& scope) {
  for (;;) {
    net::Stream stream = co_await listener.accept();
    scope.spawn(serve_peer(std::move(stream), peer));
  }
}

}  // namespace

Task<> with_peer(PeerFunction peer, PeerBody body) {
  const auto executor = co_await asio::this_coro::executor;
  net::Listener listener(executor, net::Address::parse("127.0.0.1:0"));
  async::Scope scope(executor, "test peer");
  scope.spawn(accept_peers(listener, peer, scope));
  auto main = body(listener.address());
  co_await scope.run(std::move(main));
}

int status_of(std::string_view answer) {
  if (!answer.starts_with("HTTP/1.1 ") || answer.size() < 12) return 0;
  return std::stoi(std::string(answer.substr(9, 3)));
}

std::string body_of(std::string_view answer) {
  const auto end = answer.find("\r\n\r\n");
  return end == answer.npos ? std::string() : std::string(answer.substr(end + 4));
}

}  // namespace wrenn::test
