// The proxy between a raw client and real or hostile upstreams.

#include "core/http/proxy.h"

#include "core/http/websocket.h"
#include "loopback.h"

using namespace wrenn;
using namespace wrenn::test;
using http::Client;
using http::ProxyOptions;
using http::Reply;
using http::Request;

namespace {

// What the proxy in front uses; set by each test.
struct Setup {
  Client* upstream = nullptr;
  ProxyOptions options;
  std::string failure;  // what proxy() threw
  int ended = 0;        // calls that have ended, either way
};
Setup setup;

Task<> pass_on(Request& request, Reply& reply) {
  ProxyOptions options = setup.options;
  options.target = request.target;
  std::exception_ptr error;
  try {
    co_await http::proxy(request, reply, *setup.upstream, options);
  } catch (const Error& failed) {
    setup.failure = fmt::format("{}: {}", to_string(failed.code()), failed.what());
    error = std::current_exception();
  }
  ++setup.ended;
  if (error && !reply.started()) {
    auto response = http::text_response(502, setup.failure);
    co_await reply.send(std::move(response));
  } else if (error) {
    std::rethrow_exception(error);
  }
}

using FrontBody = std::function<Task<>(TestServer&)>;

Task<> in_front_of(net::Address upstream, FrontBody body) {
  Client client(co_await asio::this_coro::executor, upstream);
  setup = {};
  setup.upstream = &client;
  auto run_front = [](FrontBody inner) -> ServerBody {
    return [inner](TestServer& front) { return inner(front); };
  }(body);
  co_await with_server(pass_on, {}, run_front);
}

// Shows the request as it arrived.
Task<> show(Request& request, Reply& reply) {
  std::string text = request.method + " " + request.target + "\n";
  for (const auto& [name, value] : request.headers.fields()) text += name + ": " + value + "\n";
  text += "\n" + co_await request.body->read_all(64 << 20);
  http::Response response = http::text_response(request.path == "/missing" ? 404 : 200, text);
  response.headers.add("X-Answer", "yes");
  co_await reply.send(std::move(response));
}

void through_proxy(http::Handler upstream, FrontBody body) {
  run(with_server(std::move(upstream), {},
                  [body](TestServer& server) -> Task<> { co_await in_front_of(server.address(), body); }));
}

}  // namespace

TEST_CASE("a request passes through with its end-to-end fields only") {
  through_proxy(show, [](TestServer& front) -> Task<> {
    setup.options.set = {{"X-Token", "secret"}, {"X-Replaced", "new"}};
    setup.options.remove = {"X-Removed"};
    setup.options.host = "inner.example";
    RawClient client = co_await front.connect();
    co_await client.send(
        "GET /p?q=1 HTTP/1.1\r\nHost: outer\r\nConnection: X-Listed, keep-alive\r\nX-Listed: "
        "1\r\nKeep-Alive: 5\r\n"
        "Proxy-Connection: x\r\nTE: trailers\r\nX-Kept: yes\r\nX-Removed: 1\r\nX-Replaced: old\r\nExpect: "
        "100-continue\r\nCookie: a=b\r\n\r\n");
    const std::string answer = co_await client.read_answer();
    CHECK(status_of(answer) == 200);
    CHECK(answer.find("X-Answer: yes\r\n") != answer.npos);
    const std::string seen = body_of(answer);
    CHECK(seen.starts_with("GET /p?q=1\n"));
    for (const char* kept : {"X-Kept: yes\n", "X-Token: secret\n", "X-Replaced: new\n",
                             "Host: inner.example\n", "Cookie: a=b\n"})
      CHECK(seen.find(kept) != seen.npos);
    for (const char* gone :
         {"Listed", "Keep-Alive", "Proxy-Connection", "TE:", "Removed", "old", "Expect", "outer"})
      CHECK(seen.find(gone) == seen.npos);
    co_await client.send("GET /missing HTTP/1.1\r\nHost: outer\r\n\r\n");
    CHECK(status_of(co_await client.read_answer()) == 404);
  });
}

TEST_CASE("request bodies keep their kind of framing") {
  through_proxy(show, [](TestServer& front) -> Task<> {
    RawClient client = co_await front.connect();
    co_await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    std::string seen = body_of(co_await client.read_answer());
    CHECK(seen.find("Content-Length: 5\n") != seen.npos);
    CHECK(seen.ends_with("\n\nhello"));
    co_await client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    seen = body_of(co_await client.read_answer());
    CHECK(seen.find("Transfer-Encoding: chunked\n") != seen.npos);
    CHECK(seen.ends_with("\n\nhello"));
    co_await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    seen = body_of(co_await client.read_answer());
    CHECK(seen.find("Content-Length: 0\n") != seen.npos);
    co_await client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    seen = body_of(co_await client.read_answer());
    CHECK(seen.find("Content-Length") == seen.npos);
  });
}

TEST_CASE("large bodies stream through in both directions") {
  static int pieces;
  pieces = 0;
  through_proxy(show, [](TestServer& front) -> Task<> {
    setup.options.on_bytes = [] { ++pieces; };
    RawClient client = co_await front.connect();
    const std::string body(20 << 20, 'b');
    async::Scope scope(co_await asio::this_coro::executor, "send");
    scope.spawn(client.send(
        fmt::format("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)));
    const std::string answer = co_await client.read_answer();
    co_await scope.join();
    CHECK(answer.ends_with("\n\n" + body));
    CHECK(pieces > 100);
  });
}

TEST_CASE("answers keep their framing, HEAD its lengths") {
  const std::pair<std::string, std::string> rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-End: 1\r\n\r\nhello",
       "hello"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       "5\r\nhello\r\n0\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\n\r\nhello", "5\r\nhello\r\n0\r\n\r\n"},
  };
  for (const auto& [answer, expected] : rows) {
    INFO(answer);
    const auto peer = [answer = answer](RawClient& connection) -> Task<> {
      co_await connection.read_until("\r\n\r\n");
      co_await connection.send(answer);
    };
    run(with_peer(peer, [expected = expected](net::Address address) -> Task<> {
      co_await in_front_of(address, [expected](TestServer& front) -> Task<> {
        RawClient client = co_await front.connect();
        co_await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        const std::string seen = co_await client.read_to_end();
        CHECK(body_of(seen) == expected);
        CHECK(seen.find("X-Hop") == seen.npos);
      });
    }));
  }
  const auto head = [](RawClient& connection) -> Task<> {
    co_await connection.read_until("\r\n\r\n");
    co_await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    co_await connection.read_to_end();
  };
  run(with_peer(head, [](net::Address address) -> Task<> {
    co_await in_front_of(address, [](TestServer& front) -> Task<> {
      RawClient client = co_await front.connect();
      co_await client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      const std::string seen = co_await client.read_to_end();
      CHECK(seen.find("Content-Length: 1234\r\n") != seen.npos);
      CHECK(body_of(seen) == "");
    });
  }));
}

TEST_CASE("events pass through one by one") {
  static bool written;
  written = false;
  const auto events = [](Request&, Reply& reply) -> Task<> {
    auto out = co_await reply.stream(200, {{"Content-Type", "text/event-stream"}});
    for (int i = 0; i < 3; ++i) {
      co_await out->write(fmt::format("data: {}\n\n", i));
      co_await async::sleep(50ms);
    }
    written = true;
    co_await out->finish();
  };
  through_proxy(events, [](TestServer& front) -> Task<> {
    RawClient client = co_await front.connect();
    co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    co_await client.read_until("data: 0\n\n");
    CHECK_FALSE(written);
    co_await client.read_until("data: 2\n\n");
    co_await client.read_until("0\r\n\r\n");
  });
}

TEST_CASE("an upstream that fails before its head is the caller's to report") {
  const std::pair<std::string, std::string> rows[] = {
      {"", "unavailable: "},
      {"HTTP/1.1 200 OK\r\n", "unavailable: "},
      {"nonsense\r\n\r\n", "invalid_argument: "},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "invalid_argument: "},
  };
  for (const auto& [answer, expected] : rows) {
    INFO(answer);
    const auto peer = [answer = answer](RawClient& connection) -> Task<> {
      co_await connection.read_until("\r\n\r\n");
      co_await connection.send(answer);
    };
    run(with_peer(peer, [expected = expected](net::Address address) -> Task<> {
      co_await in_front_of(address, [expected](TestServer& front) -> Task<> {
        RawClient client = co_await front.connect();
        co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::string seen = co_await client.read_answer();
        CHECK(status_of(seen) == 502);
        CHECK(body_of(seen).starts_with(expected));
      });
    }));
  }
  run(in_front_of(net::Address::unix_socket("/nowhere/socket"), [](TestServer& front) -> Task<> {
    RawClient client = co_await front.connect();
    co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(status_of(co_await client.read_answer()) == 502);
  }));
}

TEST_CASE("a head that does not come within its time") {
  const auto silent = [](RawClient& connection) -> Task<> { co_await connection.read_to_end(); };
  run(with_peer(silent, [](net::Address address) -> Task<> {
    co_await in_front_of(address, [](TestServer& front) -> Task<> {
      setup.options.head_timeout = 100ms;
      RawClient client = co_await front.connect();
      co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      CHECK(body_of(co_await client.read_answer()).starts_with("deadline_exceeded: "));
    });
  }));
}

TEST_CASE("an upstream that breaks off inside its body cuts the client") {
  for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    const auto peer = [answer](RawClient& connection) -> Task<> {
      co_await connection.read_until("\r\n\r\n");
      co_await connection.send(answer);
    };
    run(with_peer(peer, [](net::Address address) -> Task<> {
      co_await in_front_of(address, [](TestServer& front) -> Task<> {
        RawClient client = co_await front.connect();
        co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::string seen = co_await client.read_to_end();
        CHECK(status_of(seen) == 200);
        CHECK(seen.find("hello") != seen.npos);
        CHECK_FALSE(seen.ends_with("0\r\n\r\n"));
        CHECK(setup.failure.starts_with("unavailable"));
      });
    }));
  }
}

TEST_CASE("an answer before the end of the request body arrives") {
  const auto peer = [](RawClient& connection) -> Task<> {
    co_await connection.read_until("\r\n\r\n");
    co_await connection.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  };
  run(with_peer(peer, [](net::Address address) -> Task<> {
    co_await in_front_of(address, [](TestServer& front) -> Task<> {
      RawClient client = co_await front.connect();
      co_await client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" +
                           std::string(300'000, 'x'));
      const std::string seen = co_await client.read_until("no");
      CHECK(status_of(seen) == 413);
    });
  }));
}

namespace {

struct Upstream {
  bool asked = false;
  bool hung_up = false;
};
Upstream upstream_state;

Task<> wait_for_hang_up(RawClient& connection) {
  co_await connection.read_until("\r\n\r\n");
  upstream_state.asked = true;
  co_await connection.read_to_end();
  upstream_state.hung_up = true;
}

}  // namespace

TEST_CASE("a client that goes away ends the upstream exchange at once") {
  struct Row {
    const char* request;
    const char* answer;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n"},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", ""},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
       "HTTP/1.1 200 OK\r\n\r\nx"},
  };
  for (const Row& row : rows) {
    INFO(row.request << row.answer);
    upstream_state = {};
    const auto peer = [answer = std::string(row.answer)](RawClient& connection) -> Task<> {
      co_await connection.send(answer);
      co_await wait_for_hang_up(connection);
    };
    run(with_peer(peer, [request = std::string(row.request)](net::Address address) -> Task<> {
      co_await in_front_of(address, [request](TestServer& front) -> Task<> {
        RawClient client = co_await front.connect();
        co_await client.send(request);
        for (int i = 0; i < 400 && !upstream_state.asked; ++i) co_await async::sleep(5ms);
        co_await async::sleep(20ms);
        CHECK_FALSE(upstream_state.hung_up);
        const auto begin = std::chrono::steady_clock::now();
        client.close();
        for (int i = 0; i < 400 && !upstream_state.hung_up; ++i) co_await async::sleep(5ms);
        CHECK(upstream_state.hung_up);
        CHECK(std::chrono::steady_clock::now() - begin < 1s);
        CHECK(setup.failure == "canceled: the client is gone");
      });
    }));
  }
}

TEST_CASE("an upgrade passes through as bytes, with what came early") {
  const auto peer = [](RawClient& connection) -> Task<> {
    const std::string head = co_await connection.read_until("\r\n\r\n");
    const bool asked =
        head.find("Connection: Upgrade\r\n") != head.npos && head.find("Upgrade: chat/2\r\n") != head.npos;
    co_await connection.send(asked
                                 ? "HTTP/1.1 101 Sure\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nX-Extra: "
                                   "1\r\n\r\nearly from upstream;"
                                 : "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
    const std::string said = co_await connection.read_until(";");
    co_await connection.send("heard " + said);
    CHECK(co_await connection.read_to_end() == "");
    co_await connection.send("and goodbye");
  };
  run(with_peer(peer, [](net::Address address) -> Task<> {
    co_await in_front_of(address, [](TestServer& front) -> Task<> {
      RawClient client = co_await front.connect();
      co_await client.send(
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat/2\r\n\r\nearly from client;");
      const std::string head = co_await client.read_until("\r\n\r\n");
      CHECK(status_of(head) == 101);
      CHECK(head.find("Connection: Upgrade\r\n") != head.npos);
      CHECK(head.find("Upgrade: chat/2\r\n") != head.npos);
      CHECK(head.find("X-Extra: 1\r\n") != head.npos);
      CHECK(co_await client.read_until(";") == "early from upstream;");
      CHECK(co_await client.read_until(";") == "heard early from client;");
      client.stream().shutdown_write();
      CHECK(co_await client.read_to_end() == "and goodbye");
    });
  }));
}

TEST_CASE("an answer is the upstream's, and says of itself what that says") {
  const std::pair<const char*, const char*> rows[] = {
      {"", ""}, {"Server: theirs/1\r\n", "Server: theirs/1\r\n"}, {"server: small\r\n", "server: small\r\n"}};
  for (const auto& [field, expected] : rows) {
    INFO(field);
    const auto peer = [field = field](RawClient& connection) -> Task<> {
      co_await connection.read_until("\r\n\r\n");
      co_await connection.send(fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", field));
    };
    run(with_peer(peer, [expected = expected](net::Address address) -> Task<> {
      co_await in_front_of(address, [expected](TestServer& front) -> Task<> {
        RawClient client = co_await front.connect();
        co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::string head = co_await client.read_until("\r\n\r\n");
        CHECK(head.find(expected) != head.npos);
        CHECK(head.find("wrenn") == head.npos);
        CHECK(head.find("Date: ") != head.npos);
      });
    }));
  }
}

TEST_CASE("a body may take longer than the head of its answer") {
  through_proxy(show, [](TestServer& front) -> Task<> {
    setup.options.head_timeout = 300ms;
    RawClient client = co_await front.connect();
    co_await client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for (int i = 0; i < 8; ++i) {
      co_await async::sleep(120ms);
      co_await client.send("x");
    }
    const std::string answer = co_await client.read_answer();
    CHECK(status_of(answer) == 200);
    CHECK(answer.ends_with("\n\nxxxxxxxx"));
  });
}

TEST_CASE("an upgraded connection that breaks off is reset, and does not seem to end") {
  const auto peer = [](RawClient& connection) -> Task<> {
    co_await connection.read_until("\r\n\r\n");
    co_await connection.send("HTTP/1.1 101 Sure\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\nhello");
    co_await connection.read_until(";");
    connection.stream().abort();
  };
  run(with_peer(peer, [](net::Address address) -> Task<> {
    co_await in_front_of(address, [](TestServer& front) -> Task<> {
      RawClient client = co_await front.connect();
      co_await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat/2\r\n\r\n");
      co_await client.read_until("hello");
      co_await client.send(";");
      std::string space(16, '\0');
      std::string failure = "none: it ended";
      try {
        co_await client.stream().read_some(space);
      } catch (const Error& error) {
        failure = to_string(error.code());
      }
      CHECK(failure == "unavailable");
    });
  }));
}

TEST_CASE("an upgrade that the upstream declines is an answer like any") {
  through_proxy(show, [](TestServer& front) -> Task<> {
    RawClient client = co_await front.connect();
    co_await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    CHECK(status_of(co_await client.read_answer()) == 200);
    co_await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(status_of(co_await client.read_answer()) == 200);
  });
}

TEST_CASE("a WebSocket talks through the proxy") {
  const auto echo = [](Request&, Reply& reply) -> Task<> {
    const http::WebSocketOptions options;
    http::WebSocket socket = co_await reply.accept_websocket(options);
    while (auto message = co_await socket.receive()) co_await socket.send_text("echo " + message->data);
  };
  through_proxy(echo, [](TestServer& front) -> Task<> {
    Client client(co_await asio::this_coro::executor, front.address());
    http::WebSocket socket = co_await client.websocket("/", {});
    for (const std::string text : {"one", "two"}) {
      co_await socket.send_text(text);
      const auto message = co_await socket.receive();
      REQUIRE(message);
      CHECK(message->data == "echo " + text);
    }
    co_await socket.close(1000, "done");
    for (int i = 0; i < 400 && setup.ended == 0; ++i) co_await async::sleep(5ms);
    CHECK(setup.ended == 1);
  });
}
