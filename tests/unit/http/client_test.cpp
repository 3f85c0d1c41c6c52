// The client against friendly and hostile peers.

#include "core/http/client.h"

#include <sys/resource.h>

#include "loopback.h"

using namespace wrenn;
using namespace wrenn::test;
using http::Client;
using http::ClientOptions;
using http::ClientRequest;
using http::Exchange;
using BodyKind = http::Client::BodyKind;

namespace {

ClientRequest get(std::string target) {
  ClientRequest request;
  request.target = std::move(target);
  request.timeout = 10s;
  return request;
}

ClientRequest post(std::string target, std::string body) {
  ClientRequest request = get(std::move(target));
  request.method = "POST";
  request.body = std::move(body);
  return request;
}

// "ok", or the code and text of the error.
Task<std::string> outcome(Client& client, ClientRequest request) {
  try {
    const auto response = co_await client.send(std::move(request));
    co_return fmt::format("{} {}", response.status, response.body);
  } catch (const Error& error) {
    co_return fmt::format("{}: {}", to_string(error.code()), error.what());
  }
}

Task<std::string> outcome_at(net::Address address, ClientRequest request) {
  Client client(co_await asio::this_coro::executor, address);
  co_return co_await outcome(client, std::move(request));
}

// A peer that answers every request of a connection with `answer` and then hangs up or not.
PeerFunction answers(std::string answer, bool hang_up) {
  return [answer, hang_up](RawClient& peer) -> Task<> {
    for (;;) {
      co_await peer.read_until("\r\n\r\n");
      co_await peer.send(answer);
      if (hang_up) co_return;
    }
  };
}

}  // namespace

TEST_CASE("answers of every framing are read") {
  const std::pair<std::string, std::string> rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 hello"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "200 hello"},
      {"HTTP/1.1 200 OK\r\n\r\nhello", "200 hello"},
      {"HTTP/1.0 200 OK\r\n\r\nhello", "200 hello"},
      {"HTTP/1.1 204 No Content\r\n\r\n", "204 "},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "304 "},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
       "OK\r\nContent-Length: "
       "2\r\n\r\nhi",
       "200 hi"},
      {"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", "500 no"},
  };
  for (const auto& [answer, expected] : rows) {
    INFO(answer);
    run(with_peer(answers(answer, true), [expected = expected](net::Address address) -> Task<> {
      CHECK(co_await outcome_at(address, get("/")) == expected);
    }));
  }
}

TEST_CASE("answers that break HTTP are errors") {
  const std::pair<std::string, std::string> rows[] = {
      {"SSH-2.0-OpenSSH_9.2\r\n", "invalid_argument"},
      {"HTTP/2 200\r\n\r\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix\r\n", "invalid_argument"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), "invalid_argument"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "invalid_argument"},
      {"", "unavailable"},
      {"HTTP/1.1 200 OK\r\n", "unavailable"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "unavailable"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "unavailable"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "unavailable"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "unavailable"},
  };
  for (const auto& [answer, expected] : rows) {
    INFO(answer.substr(0, 100));
    run(with_peer(answers(answer, true), [expected = expected](net::Address address) -> Task<> {
      const std::string said = co_await outcome_at(address, get("/"));
      INFO(said);
      CHECK(said.starts_with(expected));
    }));
  }
}

TEST_CASE("an answer put off for ever is given up") {
  const auto hints = [](RawClient& peer) -> Task<> {
    for (;;) co_await peer.send("HTTP/1.1 102 Processing\r\n\r\n");
  };
  run(with_peer(hints, [](net::Address address) -> Task<> {
    const std::string said = co_await outcome_at(address, get("/"));
    CHECK(said.find("1xx") != said.npos);
  }));
}

TEST_CASE("every wait for an answer has a deadline") {
  const auto silent = [](RawClient& peer) -> Task<> { co_await peer.read_to_end(); };
  const auto slow_body = [](RawClient& peer) -> Task<> {
    co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (;;) {
      co_await peer.send("x");
      co_await async::sleep(20ms);
    }
  };
  for (const PeerFunction& peer : {PeerFunction(silent), PeerFunction(slow_body)}) {
    run(with_peer(peer, [](net::Address address) -> Task<> {
      auto request = get("/slow");
      request.timeout = 150ms;
      const std::string said = co_await outcome_at(address, std::move(request));
      CHECK(said.starts_with("deadline_exceeded: GET /slow at 127.0.0.1:"));
    }));
  }
}

TEST_CASE("an answer larger than asked for is an error, announced or not") {
  const std::string large(50'000, 'x');
  const std::string rows[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + large,
      "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n" + large,
      "HTTP/1.1 200 OK\r\n\r\n" + large,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + large + "\r\n0\r\n\r\n",
  };
  for (const std::string& answer : rows) {
    run(with_peer(answers(answer, true), [](net::Address address) -> Task<> {
      auto request = get("/");
      request.response_bytes_max = 49'999;
      const std::string said = co_await outcome_at(address, std::move(request));
      CHECK(said.starts_with("resource_exhausted: the body has "));
    }));
  }
}

TEST_CASE("requests cannot be split") {
  run(with_peer(answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
                [](net::Address address) -> Task<> {
                  for (const char* target : {"/a b", "/a\r\nX: y", "a", "", "/\xc3\xbc", "/a#b"})
                    CHECK((co_await outcome_at(address, get(target))).starts_with("invalid_argument"));
                  auto request = get("/");
                  request.method = "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET";
                  CHECK((co_await outcome_at(address, std::move(request))).starts_with("invalid_argument"));
                }));
}

// ---- kept-alive connections ----

namespace {

// Counts connections and requests; the answer tells both.
struct Counts {
  int connections = 0;
  int requests = 0;
};
Counts counts;

std::string numbered_answer() {
  const std::string body = fmt::format("c{} r{}", counts.connections, counts.requests);
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

Task<> count(RawClient& peer) {
  ++counts.connections;
  for (;;) {
    co_await peer.read_until("\r\n\r\n");
    ++counts.requests;
    co_await peer.send(numbered_answer());
  }
}

// Serves one request a connection, then hangs up without having said so …
Task<> hang_up_after_answer(RawClient& peer) {
  ++counts.connections;
  co_await peer.read_until("\r\n\r\n");
  ++counts.requests;
  co_await peer.send(numbered_answer());
}

// … or only when the next request has come.
Task<> hang_up_on_second(RawClient& peer) {
  co_await hang_up_after_answer(peer);
  co_await peer.read_until("\r\n\r\n");
}

// Says more than it was asked.
Task<> speak_unasked(RawClient& peer) {
  ++counts.connections;
  co_await peer.read_until("\r\n\r\n");
  ++counts.requests;
  co_await peer.send(numbered_answer() + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  co_await peer.read_to_end();
}

Task<> speak_unasked_later(RawClient& peer) {
  ++counts.connections;
  co_await peer.read_until("\r\n\r\n");
  ++counts.requests;
  co_await peer.send(numbered_answer());
  co_await async::sleep(10ms);
  co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  co_await peer.read_to_end();
}

}  // namespace

TEST_CASE("connections are kept and used again") {
  counts = {};
  run(with_peer(count, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    CHECK(co_await outcome(client, get("/")) == "200 c1 r1");
    CHECK(co_await outcome(client, get("/")) == "200 c1 r2");
    CHECK(co_await outcome(client, post("/", "")) == "200 c1 r3");
    client.drop_idle();
    CHECK(co_await outcome(client, get("/")) == "200 c2 r4");
  }));
}

TEST_CASE("a kept connection that the peer has closed is replaced") {
  counts = {};
  run(with_peer(hang_up_after_answer, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    for (int i = 1; i < 5; ++i) {
      CHECK(co_await outcome(client, post("/", "x")) == fmt::format("200 c{} r{}", i, i));
      co_await async::sleep(5ms);
    }
  }));
}

TEST_CASE("a kept connection that dies under a request is retried once, if that cannot do harm") {
  counts = {};
  run(with_peer(hang_up_on_second, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    CHECK(co_await outcome(client, get("/")) == "200 c1 r1");
    CHECK(co_await outcome(client, get("/")) == "200 c2 r2");  // the first connection died under it
    CHECK((co_await outcome(client, post("/", "x"))).starts_with("unavailable"));
    CHECK(co_await outcome(client, get("/")) == "200 c3 r3");
    auto harmless = post("/", "");
    harmless.repeatable = true;
    CHECK(co_await outcome(client, std::move(harmless)) == "200 c4 r4");
  }));
}

TEST_CASE("a fresh connection that dies is not retried") {
  counts = {};
  const auto die = [](RawClient& peer) -> Task<> {
    ++counts.connections;
    co_await peer.read_until("\r\n\r\n");
  };
  run(with_peer(die, [](net::Address address) -> Task<> {
    CHECK((co_await outcome_at(address, get("/"))).starts_with("unavailable"));
    CHECK(counts.connections == 1);
  }));
}

TEST_CASE("an answer that nobody asked for is not taken for the next one's") {
  for (const PeerFunction& peer : {PeerFunction(speak_unasked), PeerFunction(speak_unasked_later)}) {
    counts = {};
    run(with_peer(peer, [](net::Address address) -> Task<> {
      Client client(co_await asio::this_coro::executor, address);
      CHECK(co_await outcome(client, get("/")) == "200 c1 r1");
      co_await async::sleep(40ms);
      CHECK(co_await outcome(client, get("/")) == "200 c2 r2");
    }));
  }
}

TEST_CASE("Connection: close is obeyed, and idle connections end by themselves") {
  static int ended;
  ended = 0;
  const auto closing = [](RawClient& peer) -> Task<> {
    ++counts.connections;
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
    co_await peer.read_to_end();
    ++ended;
  };
  counts = {};
  run(with_peer(closing, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    CHECK(co_await outcome(client, get("/")) == "200 x");
    CHECK(co_await outcome(client, get("/")) == "200 x");
    CHECK(counts.connections == 2);
    co_await async::sleep(10ms);
    CHECK(ended == 2);
  }));

  ended = 0;
  const auto keeping = [](RawClient& peer) -> Task<> {
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    co_await peer.read_to_end();
    ++ended;
  };
  run(with_peer(keeping, [](net::Address address) -> Task<> {
    ClientOptions options;
    options.idle_timeout = 1s;
    Client client(co_await asio::this_coro::executor, address, options);
    CHECK(co_await outcome(client, get("/")) == "200 x");
    co_await async::sleep(300ms);
    CHECK(ended == 0);
    for (int i = 0; i < 400 && ended == 0; ++i) co_await async::sleep(10ms);
    CHECK(ended == 1);
  }));
}

// ---- bodies ----

TEST_CASE("a refusal before the end of a large body is heard") {
  const auto refuse = [](RawClient& peer) -> Task<> {
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    co_await async::sleep(100ms);  // and reads no more
  };
  run(with_peer(refuse, [](net::Address address) -> Task<> {
    CHECK(co_await outcome_at(address, post("/", std::string(30 << 20, 'x'))) == "413 no");
  }));
}

TEST_CASE("both bodies of an exchange stream at the same time") {
  const auto echo = [](http::Request& request, http::Reply& reply) -> Task<> {
    auto out = co_await reply.stream(
        200, {{"X-Length", std::string(request.headers.get("Content-Length").value_or("chunked"))}});
    std::vector<char> space(1000);
    for (;;) {
      const std::size_t got = co_await request.body->read_some(space);
      if (got == 0) break;
      co_await out->write(std::string_view(space.data(), got));
    }
    co_await out->write("!");
    co_await out->finish();
  };
  run(with_server(echo, {}, [](TestServer& server) -> Task<> {
    Client client(co_await asio::this_coro::executor, server.address());
    std::vector<char> space(1000);
    for (int round = 0; round < 3; ++round) {
      auto exchange = co_await client.begin("POST", "/", {}, BodyKind::chunked);
      co_await exchange->read_head(5s);  // the answer begins before the body does
      CHECK(exchange->status() == 200);
      for (const std::string piece : {"one", "two", "three"}) {
        co_await exchange->write(piece);
        const std::size_t got = co_await exchange->body().read_some(space);
        CHECK(std::string_view(space.data(), got) == piece);
      }
      co_await exchange->finish_body();
      CHECK(co_await exchange->body().read_all(100) == "!");
    }
    CHECK(server.server.open_connections() == 1);

    auto sized = co_await client.begin("PUT", "/", {{"Content-Length", "6"}}, BodyKind::sized);
    co_await sized->write("abc");
    bool refused = false;
    try {
      co_await sized->write("defg");
    } catch (const Error&) {
      refused = true;
    }
    CHECK(refused);
    try {
      refused = false;
      co_await sized->finish_body();
    } catch (const Error&) {
      refused = true;
    }
    CHECK(refused);
    co_await sized->write("def");
    co_await sized->finish_body();
    co_await sized->read_head(5s);
    CHECK(sized->headers().get("X-Length") == "6");
    CHECK(co_await sized->body().read_all(100) == "abcdef!");
  }));
}

TEST_CASE("an exchange that is dropped half-way takes its connection along") {
  counts = {};
  const auto endless = [](RawClient& peer) -> Task<> {
    ++counts.connections;
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (;;) co_await peer.send("5\r\nhello\r\n");
  };
  run(with_peer(endless, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    std::vector<char> space(1000);
    for (int i = 0; i < 3; ++i) {
      auto exchange = co_await client.begin("GET", "/", {}, BodyKind::none);
      co_await exchange->read_head(5s);
      CHECK(co_await exchange->body().read_some(space) > 0);
    }
    CHECK(counts.connections == 3);
  }));
}

TEST_CASE("a body of any length needs no more memory") {
  const auto pour = [](RawClient& peer) -> Task<> {
    co_await peer.read_until("\r\n\r\n");
    const std::string piece(1 << 20, 'x');
    co_await peer.send("HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 300; ++i) co_await peer.send(piece);
  };
  run(with_peer(pour, [](net::Address address) -> Task<> {
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    Client client(co_await asio::this_coro::executor, address);
    auto exchange = co_await client.begin("GET", "/", {}, BodyKind::none);
    co_await exchange->read_head(5s);
    std::vector<char> space(64 * 1024);
    std::uint64_t total = 0;
    for (;;) {
      const std::size_t got = co_await exchange->body().read_some(space);
      if (got == 0) break;
      total += got;
    }
    CHECK(total == 300u << 20);
#if !__has_feature(address_sanitizer)  // it keeps freed memory on purpose
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 32 * 1024);  // KiB
#endif
  }));
}

TEST_CASE("a body that stalls fails, unless that is allowed") {
  const auto stall = [](RawClient& peer) -> Task<> {
    co_await peer.read_until("\r\n\r\n");
    co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    co_await async::sleep(4s);
    co_await peer.send("lo");
  };
  run(with_peer(stall, [](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    for (const auto limit : {1s, 0s}) {
      auto exchange = co_await client.begin("GET", "/", {}, BodyKind::none);
      exchange->set_stall_limit(limit);
      co_await exchange->read_head(5s);
      std::string said;
      try {
        said = co_await exchange->body().read_all(100);
      } catch (const Error& error) {
        said = to_string(error.code());
      }
      CHECK(said == (limit == 1s ? "deadline_exceeded" : "hello"));
    }
  }));
}

TEST_CASE("HEAD has no body, whatever its head says") {
  counts = {};
  run(with_peer(answers("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false),
                [](net::Address address) -> Task<> {
                  auto request = get("/");
                  request.method = "HEAD";
                  CHECK(co_await outcome_at(address, std::move(request)) == "200 ");
                }));
}

// ---- no peer, other addresses ----

TEST_CASE("a connection opened ahead is the next request's") {
  int connections = 0;
  const auto peer = [&connections](RawClient& connection) -> Task<> {
    ++connections;
    co_await connection.read_until("\r\n\r\n");
    co_await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    co_await connection.read_to_end();
  };
  run(with_peer(peer, [&connections](net::Address address) -> Task<> {
    Client client(co_await asio::this_coro::executor, address);
    co_await client.prepare();
    co_await client.prepare();
    auto exchange = co_await client.begin("POST", "/", {}, Client::BodyKind::none);
    co_await exchange->read_head(5s);
    CHECK(exchange->status() == 200);
    CHECK(connections == 1);
  }));
  run([]() -> Task<> {
    Client client(co_await asio::this_coro::executor, net::Address::unix_socket("/nowhere/socket"));
    auto code = ErrorCode::unknown;
    try {
      co_await client.prepare();
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK(code == ErrorCode::unavailable);
  }());
}

TEST_CASE("nobody there") {
  run([]() -> Task<> {
    net::Address address;
    {
      net::Listener listener(co_await asio::this_coro::executor, net::Address::parse("127.0.0.1:0"));
      address = listener.address();
    }
    std::string said = co_await outcome_at(address, get("/"));
    CHECK(said == fmt::format("unavailable: connect to {}: Connection refused", address.text()));
    said = co_await outcome_at(net::Address::unix_socket("/nowhere/socket"), get("/"));
    CHECK(said.starts_with("unavailable: connect to unix:/nowhere/socket: "));
  }());
}

TEST_CASE("what a request says of its host") {
  const auto show = [](http::Request& request, http::Reply& reply) -> Task<> {
    auto response = http::text_response(200, std::string(*request.headers.get("Host")));
    response.body += " " + std::string(request.headers.get("X-Token").value_or("none"));
    co_await reply.send(std::move(response));
  };
  run(with_server(show, {}, [](TestServer& server) -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    Client plain(executor, server.address());
    CHECK(co_await outcome(plain, get("/")) == fmt::format("200 {} none", server.address().text()));
    ClientOptions options;
    options.host = "capsule.example";
    options.headers = {{"X-Token", "default"}};
    Client named(executor, net::Address::tcp("localhost", server.address().port()), options);
    CHECK(co_await outcome(named, get("/")) == "200 capsule.example default");
    auto request = get("/");
    request.headers = {{"X-Token", "own"}, {"Host", "other"}};
    CHECK(co_await outcome(named, std::move(request)) == "200 other own");
  }));
}

// ---- upgrades ----

TEST_CASE("a WebSocket handshake that is refused or wrong says so") {
  const auto refuse = [](http::Request&, http::Reply& reply) -> Task<> {
    auto response = http::text_response(404, "no");
    co_await reply.send(std::move(response));
  };
  const auto websocket_error = [](net::Address address) -> Task<std::string> {
    Client client(co_await asio::this_coro::executor, address);
    try {
      co_await client.websocket("/", {});
    } catch (const Error& error) {
      co_return fmt::format("{}: {}", to_string(error.code()), error.what());
    }
    co_return "accepted";
  };
  run(with_server(refuse, {}, [websocket_error](TestServer& server) -> Task<> {
    const std::string said = co_await websocket_error(server.address());
    CHECK(said.starts_with("not_found: "));
    CHECK(said.find("404") != said.npos);
  }));
  run(with_peer(
      answers("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
              "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
              false),
      [websocket_error](net::Address address) -> Task<> {
        CHECK((co_await websocket_error(address)).starts_with("invalid_argument: "));
      }));
}
