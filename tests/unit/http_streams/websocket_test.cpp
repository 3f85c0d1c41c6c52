#include "core/http/websocket.h"

#include <catch2/catch.hpp>

#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/http/websocket_frame.h"
#include "run_task.h"
#include "socket_pair.h"

using namespace wrenn;
using namespace wrenn::http;
using namespace std::chrono_literals;
using async::Task;

namespace {

struct Pair {
  explicit Pair(async::Executor executor, std::size_t limit = 0) : Pair(test::socket_pair(executor), limit) {}
  Pair(std::pair<net::Stream, net::Stream> streams, std::size_t limit)
      : server(std::move(streams.first), WebSocket::Role::server, "", limit),
        client(std::move(streams.second), WebSocket::Role::client, "", limit) {}
  WebSocket server, client;
};

// A server whose peer is the test itself, byte by byte.
struct RawPair {
  explicit RawPair(async::Executor executor, std::string unread = "")
      : RawPair(test::socket_pair(executor), std::move(unread)) {}
  RawPair(std::pair<net::Stream, net::Stream> streams, std::string unread)
      : server(std::move(streams.first), WebSocket::Role::server, std::move(unread), 0),
        raw(std::move(streams.second)) {}
  WebSocket server;
  net::Stream raw;
};

std::string client_frame(unsigned first, std::string payload) {
  constexpr WebSocketMask kMask{1, 2, 3, 4};
  std::string out(WebSocketHead(WebSocketOpcode::text, payload.size(), kMask).bytes());
  out[0] = static_cast<char>(first);
  apply_mask(payload, kMask, 0);
  return out + payload;
}

Task<std::string> read_until_end(net::Stream& stream) {
  std::string out;
  char buffer[4096];
  for (;;) {
    const auto count = co_await stream.read_some(buffer);
    if (count == 0) co_return out;
    out.append(buffer, count);
  }
}

Task<std::string> read_exactly(net::Stream& stream, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto count = co_await stream.read_some(std::span(out).subspan(have));
    REQUIRE(count > 0);
    have += count;
  }
  co_return out;
}

Task<> echo(WebSocket& socket) {
  for (;;) {
    const auto message = co_await socket.receive();
    if (!message) co_return;
    if (message->binary) {
      co_await socket.send_binary(message->data);
    } else {
      co_await socket.send_text(message->data);
    }
  }
}

Task<> drop_all(WebSocket& socket, std::size_t& messages) {
  while (co_await socket.receive()) ++messages;
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>((i * 2654435761u + seed) >> 13);
  return out;
}

Task<ErrorCode> code_of_receive(WebSocket& socket) {
  try {
    co_await socket.receive();
  } catch (const Error& error) {
    co_return error.code();
  }
  FAIL("received something");
  co_return ErrorCode::unknown;
}

}  // namespace

TEST_CASE("the handshake key of RFC 6455 §1.3 is accepted", "[websocket]") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static Task<> echo_every_size() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(echo(pair.server));
  // A sender of its own: messages larger than the socket's buffers need somebody who reads meanwhile.
  for (const std::size_t size : {0u, 1u, 7u, 125u, 126u, 4096u, 4097u, 65535u, 65536u, 65537u, 1'000'000u}) {
    const auto data = pattern(size, static_cast<unsigned>(size));
    scope.spawn(pair.client.send_binary(data));
    const auto message = co_await pair.client.receive();
    REQUIRE(message.has_value());
    CHECK(message->binary);
    CHECK((message->data == data));
  }
  const std::string text = "héllo";
  co_await pair.client.send_text(text);
  const auto message = co_await pair.client.receive();
  REQUIRE(message.has_value());
  CHECK_FALSE(message->binary);
  CHECK(message->data == text);
  co_await pair.client.close(1000, "done");
  co_await scope.join();
  CHECK_FALSE((co_await pair.client.receive()).has_value());
}

TEST_CASE("messages of every size go both ways", "[websocket]") {
  test::run(echo_every_size());
}

static Task<> send_numbers(WebSocket& socket, char who, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string data(1 + static_cast<std::size_t>(i) * 37 % 20'000, who);
    co_await socket.send_binary(data);
  }
}

static Task<> many_senders() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  for (const char who : {'a', 'b', 'c'}) scope.spawn(send_numbers(pair.client, who, 200));
  int got[3] = {};
  for (int i = 0; i < 600; ++i) {
    const auto message = co_await pair.server.receive();
    REQUIRE(message.has_value());
    const char who = message->data.front();
    REQUIRE(message->data == std::string(1 + static_cast<std::size_t>(got[who - 'a']++) * 37 % 20'000, who));
  }
  co_await scope.join();
}

TEST_CASE("several tasks send at once and no frame mixes with another", "[websocket]") {
  test::run(many_senders());
}

static Task<> senders_take_turns() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  for (const char who : {'a', 'b'}) scope.spawn(send_numbers(pair.client, who, 100));
  std::string order;
  for (int i = 0; i < 200; ++i) order += (co_await pair.server.receive())->data.front();
  co_await scope.join();
  // Both are served from the beginning; neither waits until the other is through.
  CHECK(order.substr(0, 150).find('a') != std::string::npos);
  CHECK(order.substr(0, 150).find('b') != std::string::npos);
  CHECK(order.find_last_of('a') > 100);
  CHECK(order.find_last_of('b') > 100);
}

TEST_CASE("senders are served in turn", "[websocket]") {
  test::run(senders_take_turns());
}

static Task<> pings_while_sending() {
  RawPair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  const auto big = pattern(4 << 20, 1);
  scope.spawn(pair.server.send_binary(big));  // blocks: nobody reads yet
  std::size_t messages = 0;
  scope.spawn(drop_all(pair.server, messages));
  const auto pings = client_frame(0x89, "first") + client_frame(0x89, "last") + client_frame(0x82, "data");
  co_await pair.raw.write(pings);
  // The data behind the pings is received although the answer to them cannot be sent yet.
  while (messages == 0) co_await async::sleep(1ms);
  const WebSocketHead head(WebSocketOpcode::binary, big.size(), std::nullopt);
  const auto frame = co_await read_exactly(pair.raw, head.bytes().size() + big.size());
  CHECK((frame == std::string(head.bytes()) + big));
  // One pong, whole and behind the frame; it answers the latest ping (§5.5.3).
  CHECK(co_await read_exactly(pair.raw, 6) == "\x8a\x04last");
  pair.raw.close();
  scope.cancel();
  co_await scope.join();
}

TEST_CASE("a ping during a blocked send is answered behind the frame", "[websocket]") {
  test::run(pings_while_sending());
}

static Task<> pings_at_rest() {
  RawPair pair(co_await asio::this_coro::executor, client_frame(0x89, "early"));
  async::Scope scope(co_await asio::this_coro::executor, "test");
  std::size_t messages = 0;
  scope.spawn(drop_all(pair.server, messages));
  CHECK(co_await read_exactly(pair.raw, 7) ==
        "\x8a\x05"
        "early");
  const auto ping = client_frame(0x89, "");
  co_await pair.raw.write(ping);
  CHECK(co_await read_exactly(pair.raw, 2) == std::string("\x8a\0", 2));
  const auto close = client_frame(0x88, close_payload(1001, "bye"));
  co_await pair.raw.write(close);
  CHECK(co_await read_until_end(pair.raw) == "\x88\x02\x03\xe9");
  co_await scope.join();
  CHECK(messages == 0);
}

TEST_CASE("pings and closes are answered, also those that came with the handshake", "[websocket]") {
  test::run(pings_at_rest());
}

static Task<> violation(std::string bytes, unsigned code) {
  RawPair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(pair.raw.write(bytes));
  std::string answer;
  const auto start = SteadyClock::now();
  auto receiving = code_of_receive(pair.server);
  auto reading = read_until_end(pair.raw);
  // The peer closes once it has read why; receive() then ends at once.
  struct Peer {
    static Task<> run(Task<std::string> reading, net::Stream& raw, std::string& out) {
      out = co_await std::move(reading);
      raw.close();
    }
  };
  scope.spawn(Peer::run(std::move(reading), pair.raw, answer));
  CHECK(co_await std::move(receiving) == ErrorCode::invalid_argument);
  co_await scope.join();
  CHECK(SteadyClock::now() - start < 2s);
  REQUIRE(answer.size() >= 4);
  CHECK(answer[0] == '\x88');
  CHECK(static_cast<unsigned char>(answer[2]) * 256u + static_cast<unsigned char>(answer[3]) == code);
  // Further calls say the same and do not hang.
  CHECK(co_await code_of_receive(pair.server) == ErrorCode::invalid_argument);
  CHECK_THROWS_AS(co_await pair.server.ping(), Error);
}

TEST_CASE("a peer that breaks the protocol is told why before the connection ends", "[websocket]") {
  test::run(violation(client_frame(0x83, "x"), 1002));
  test::run(violation(client_frame(0x81, "\xff"), 1007));
  test::run(violation(std::string("\x82\xff\0\0\0\0\x7f\0\0\0", 10) + "mask", 1009));
  test::run(violation("GET / HTTP/1.1\r\n\r\n", 1002));
  test::run(violation(client_frame(0x81, "\xff") + std::string(3 << 20, 'x'), 1007));
}

static Task<> broken_off() {
  RawPair pair(co_await asio::this_coro::executor);
  const auto half = client_frame(0x81, "hello").substr(0, 8);
  co_await pair.raw.write(half);
  pair.raw.close();
  CHECK(co_await code_of_receive(pair.server) == ErrorCode::unavailable);
}

TEST_CASE("a connection that ends without a close frame is an error", "[websocket]") {
  test::run(broken_off());
}

static Task<> close_waits_for_peer() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  std::size_t messages = 0;
  const std::string text = "last words";
  co_await pair.client.send_text(text);
  scope.spawn(pair.server.close(1000, "bye"));
  co_await async::sleep(5ms);
  // The server has begun to close; what it had not read is dropped, and it does not send any more.
  CHECK_THROWS_AS(co_await pair.server.send_text(text), Error);
  co_await drop_all(pair.client, messages);
  co_await scope.join();
  CHECK(messages == 0);
  CHECK_FALSE((co_await pair.server.receive()).has_value());
  co_await pair.server.close(1000, "again");  // idempotent
  co_await pair.client.close(1000, "");
}

TEST_CASE("close() exchanges close frames", "[websocket]") {
  test::run(close_waits_for_peer());
}

static Task<> close_while_receiving() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  std::size_t at_server = 0, at_client = 0;
  scope.spawn(drop_all(pair.server, at_server));
  scope.spawn(drop_all(pair.client, at_client));
  co_await async::sleep(5ms);
  auto one = pair.server.close(1000, "");
  auto two = pair.client.close(1000, "");
  co_await async::both(std::move(one), std::move(two));
  co_await scope.join();  // both receivers have ended properly
}

TEST_CASE("both ends close at once while both receive", "[websocket]") {
  test::run(close_while_receiving());
}

static Task<> close_to_deaf_peer() {
  RawPair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  const auto start = SteadyClock::now();
  co_await pair.server.close(1000, "anybody?");
  const auto took = SteadyClock::now() - start;
  CHECK(took >= 4s);
  CHECK(took < 7s);
  CHECK(co_await read_until_end(pair.raw) ==
        "\x88\x0a\x03\xe8"
        "anybody?");
}

TEST_CASE("close() does not wait for ever", "[websocket]") {
  test::run(close_to_deaf_peer());
}

static Task<> dead_peer() {
  RawPair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(pair.server.keep_alive(1s));
  const auto start = SteadyClock::now();
  CHECK(co_await code_of_receive(pair.server) == ErrorCode::deadline_exceeded);
  CHECK(SteadyClock::now() - start < 6s);
  co_await scope.join();
}

TEST_CASE("keep_alive() notices a peer that answers nothing", "[websocket]") {
  test::run(dead_peer());
}

static Task<> living_peer() {
  Pair pair(co_await asio::this_coro::executor);
  async::Scope scope(co_await asio::this_coro::executor, "test");
  std::size_t messages = 0;
  scope.spawn(pair.server.keep_alive(1s));
  scope.spawn(drop_all(pair.server, messages));
  scope.spawn(drop_all(pair.client, messages));  // answers the pings
  co_await async::sleep(5s);
  const std::string text = "still here";
  co_await pair.client.send_text(text);
  co_await pair.client.close(1000, "");
  co_await scope.join();  // keep_alive() ends with the connection
  CHECK(messages == 1);
}

TEST_CASE("keep_alive() leaves a silent peer that answers alone", "[websocket]") {
  test::run(living_peer());
}

static Task<> cancelled_receive() {
  Pair pair(co_await asio::this_coro::executor);
  for (int i = 0; i < 5; ++i) {
    std::size_t messages = 0;
    auto receiving = drop_all(pair.server, messages);
    auto waiting = async::sleep(2ms);
    CHECK(co_await async::first_of(std::move(receiving), std::move(waiting)) == 1);
  }
  const std::string text = "not lost";
  co_await pair.client.send_text(text);
  const auto message = co_await pair.server.receive();
  REQUIRE(message.has_value());
  CHECK(message->data == text);
}

TEST_CASE("cancelling receive() loses nothing", "[websocket]") {
  test::run(cancelled_receive());
}

static Task<> bad_text() {
  Pair pair(co_await asio::this_coro::executor);
  const std::string text = "\xff";
  CHECK_THROWS_AS(co_await pair.client.send_text(text), Error);
  const std::string good = "ok";
  co_await pair.client.send_text(good);  // nothing of the refused one is on the wire
  CHECK((co_await pair.server.receive())->data == good);
}

TEST_CASE("text that is no UTF-8 is not sent", "[websocket]") {
  test::run(bad_text());
}
