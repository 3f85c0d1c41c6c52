// The server's behaviour over real sockets.

#include "loopback.h"

#include <unistd.h>

using namespace wrenn;
using namespace wrenn::test;
using http::Reply;
using http::Request;
using http::ServerOptions;

namespace {

// ---- handlers ----

// "METHOD target body"
Task<> echo(Request& request, Reply& reply) {
  std::string body = co_await request.body->read_all(64 << 20);
  auto response = http::text_response(200, request.method + " " + request.target + " " + body);
  co_await reply.send(std::move(response));
}

Task<> ignore_body(Request&, Reply& reply) {
  auto response = http::text_response(200, "ignored");
  co_await reply.send(std::move(response));
}

Task<> by_path(Request& request, Reply& reply) {
  if (request.path == "/health") {
    co_await ignore_body(request, reply);
  } else if (request.path == "/stream") {
    auto out = co_await reply.stream(200, {{"Content-Type", "text/plain"}});
    co_await out->write("one,");
    co_await out->write("");
    co_await out->write("two");
    co_await out->finish();
  } else if (request.path == "/sized") {
    auto out = co_await reply.stream(200, {}, 6);
    co_await out->write("abc");
    co_await out->write("def");
    co_await out->finish();
  } else if (request.path == "/short") {
    auto out = co_await reply.stream(200, {}, 6);
    co_await out->write("abc");
    co_await out->finish();
  } else if (request.path == "/torn") {
    auto out = co_await reply.stream(200, {});
    co_await out->write("abc");
    throw Error(ErrorCode::data_loss, "the source dried up");
  } else if (request.path == "/abandoned") {
    auto out = co_await reply.stream(200, {});
    co_await out->write("abc");
  } else if (request.path == "/throw") {
    throw Error(ErrorCode::not_found, "no such capsule");
  } else if (request.path == "/bug") {
    throw std::runtime_error("secret detail");
  } else if (request.path == "/silent") {
    co_return;
  } else if (request.path == "/204") {
    http::Response response;
    response.status = 204;
    co_await reply.send(std::move(response));
  } else if (request.path == "/304") {
    http::Response response;
    response.status = 304;
    response.body = "never sent";
    co_await reply.send(std::move(response));
  } else if (request.path == "/close") {
    http::Response response = http::text_response(200, "bye");
    response.headers.add("Connection", "close");
    co_await reply.send(std::move(response));
  } else if (request.path == "/twice") {
    auto response = http::text_response(200, "once");
    auto again = response;
    co_await reply.send(std::move(response));
    co_await reply.send(std::move(again));
  } else if (request.path == "/idle") {
    auto out = co_await reply.stream(200, {{"Content-Type", "text/event-stream"}});
    co_await async::sleep(1h);
  } else if (request.path == "/fields") {
    reply.headers.set("X-Request-Id", "42");
    auto response = http::text_response(200, request.peer);
    response.headers.add("Content-Length", "9999");
    response.headers.add("Transfer-Encoding", "chunked");
    response.headers.add("Server", "mine");
    co_await reply.send(std::move(response));
  } else {
    co_await echo(request, reply);
  }
}

std::string get(std::string_view path, std::string_view fields = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: t\r\n{}\r\n", path, fields);
}

std::string post(std::string_view path, std::string_view body, std::string_view fields = "") {
  return fmt::format("POST {} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n{}\r\n{}", path, body.size(),
                     fields, body);
}

// Sends `request` and gives everything the server says until it closes.
Task<std::string> exchange_to_end(TestServer& server, std::string request) {
  RawClient client = co_await server.connect();
  co_await client.send(std::move(request));
  co_return co_await client.read_to_end();
}

}  // namespace

TEST_CASE("a kept-alive connection carries one request after the other") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    for (int i = 0; i < 5; ++i) {
      co_await client.send(post(fmt::format("/r{}", i), std::string(static_cast<std::size_t>(i), 'x')));
      const std::string answer = co_await client.read_answer();
      CHECK(status_of(answer) == 200);
      CHECK(body_of(answer) == fmt::format("POST /r{} {}", i, std::string(static_cast<std::size_t>(i), 'x')));
      CHECK(answer.find("Connection:") == answer.npos);
    }
    CHECK(server.server.open_connections() == 1);
  }));
}

TEST_CASE("pipelined requests are answered in order, however the bytes are cut") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    std::string all;
    for (int i = 0; i < 40; ++i) {
      all += i % 3 == 0 ? get(fmt::format("/r{}", i))
             : i % 3 == 1
                 ? post(fmt::format("/r{}", i), "body")
                 : fmt::format(
                       "POST /r{} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\n"
                       "dy\r\n0\r\n\r\n",
                       i);
    }
    for (const std::size_t piece : {all.size(), std::size_t{7}, std::size_t{100}}) {
      RawClient client = co_await server.connect();
      for (std::size_t at = 0; at < all.size(); at += piece) {
        co_await client.send(all.substr(at, piece));
        if (piece == 7) co_await async::yield();
      }
      for (int i = 0; i < 40; ++i) {
        const std::string answer = co_await client.read_answer();
        CHECK(body_of(answer) ==
              fmt::format("{} /r{} {}", i % 3 == 0 ? "GET" : "POST", i, i % 3 == 0 ? "" : "body"));
      }
    }
  }));
}

TEST_CASE("who pipelines without end does not keep others from the loop") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient greedy = co_await server.connect();
    std::string flood;
    for (int i = 0; i < 3000; ++i) flood += get("/health");
    co_await greedy.send(flood);
    RawClient other = co_await server.connect();
    co_await other.send(get("/health"));
    CHECK(status_of(co_await other.read_answer()) == 200);
    for (int i = 0; i < 3000; ++i) REQUIRE(status_of(co_await greedy.read_answer()) == 200);
  }));
}

TEST_CASE("streamed answers") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/stream"));
    std::string head = co_await client.read_until("\r\n\r\n");
    CHECK(head.find("Transfer-Encoding: chunked\r\n") != head.npos);
    CHECK(head.find("Content-Length") == head.npos);
    CHECK(co_await client.read_until("0\r\n\r\n") == "4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n");
    co_await client.send(get("/sized"));
    const std::string answer = co_await client.read_answer();
    CHECK(answer.find("Content-Length: 6\r\n") != answer.npos);
    CHECK(body_of(answer) == "abcdef");
    co_await client.send(get("/health"));
    CHECK(status_of(co_await client.read_answer()) == 200);
  }));
}

TEST_CASE("an answer that breaks off cuts the connection") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    for (const char* path : {"/torn", "/abandoned"}) {
      const std::string answer = co_await exchange_to_end(server, get(path));
      CHECK(status_of(answer) == 200);
      CHECK(body_of(answer) == "3\r\nabc\r\n");  // no last chunk
    }
    const std::string shorter = co_await exchange_to_end(server, get("/short"));
    CHECK(body_of(shorter) == "abc");
    CHECK(shorter.find("Content-Length: 6\r\n") != shorter.npos);
    // HTTP/1.0 knows the end by the close only, so a proper close would hide the loss.
    RawClient old = co_await server.connect();
    co_await old.send("GET /torn HTTP/1.0\r\n\r\n");
    bool reset = false;
    std::vector<char> space(1000);
    try {
      while (co_await old.stream().read_some(space) > 0) {
      }
    } catch (const Error& error) {
      reset = error.code() == ErrorCode::unavailable;
    }
    CHECK(reset);
  }));
}

TEST_CASE("HTTP/1.0 gets what it understands") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    const std::string answer = co_await exchange_to_end(server, "GET /health HTTP/1.0\r\n\r\n");
    CHECK(status_of(answer) == 200);
    CHECK(answer.find("Connection: close\r\n") != answer.npos);
    const std::string stream =
        co_await exchange_to_end(server, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(stream.find("Transfer-Encoding") == stream.npos);
    CHECK(body_of(stream) == "one,two");
    RawClient client = co_await server.connect();
    for (int i = 0; i < 2; ++i) {
      co_await client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      const std::string kept = co_await client.read_answer();
      CHECK(kept.find("Connection: keep-alive\r\n") != kept.npos);
    }
  }));
}

TEST_CASE("HEAD, 204 and 304 have no body") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    for (const char* path : {"/health", "/sized", "/stream", "/204", "/304"}) {
      INFO(path);
      co_await client.send(fmt::format("HEAD {} HTTP/1.1\r\nHost: t\r\n\r\n", path));
      const std::string head = co_await client.read_until("\r\n\r\n");
      CHECK(status_of(head) != 0);
      if (std::string_view(path) == "/health") CHECK(head.find("Content-Length: 7\r\n") != head.npos);
      if (std::string_view(path) == "/sized") CHECK(head.find("Content-Length: 6\r\n") != head.npos);
    }
    for (const char* path : {"/204", "/304"}) {
      co_await client.send(get(path));
      const std::string head = co_await client.read_until("\r\n\r\n");
      CHECK(head.find("Content-Length") == head.npos);
      CHECK(head.find("Transfer-Encoding") == head.npos);
    }
    // Had any of them had a body, this answer would not begin here.
    co_await client.send(get("/health"));
    CHECK(body_of(co_await client.read_answer()) == "ignored");
  }));
}

TEST_CASE("Connection: close, from either side") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    const std::string asked =
        co_await exchange_to_end(server, get("/health", "Connection: close\r\n") + get("/health"));
    CHECK(asked.find("Connection: close\r\n") != asked.npos);
    CHECK(asked.find("HTTP/1.1", 1) == asked.npos);  // the second request is not answered
    const std::string told = co_await exchange_to_end(server, get("/close"));
    CHECK(told.find("Connection: close\r\n") != told.npos);
    CHECK(body_of(told) == "bye");
  }));
}

TEST_CASE("failures of handlers become answers") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/throw") + get("/bug") + get("/silent") + get("/health"));
    std::string answer = co_await client.read_answer();
    CHECK(status_of(answer) == 404);
    CHECK(body_of(answer) == "no such capsule\n");
    answer = co_await client.read_answer();
    CHECK(status_of(answer) == 500);
    CHECK(answer.find("secret") == answer.npos);
    CHECK(status_of(co_await client.read_answer()) == 500);
    CHECK(status_of(co_await client.read_answer()) == 200);
    co_await client.send(get("/twice") + get("/health"));
    CHECK(body_of(co_await client.read_answer()) == "once");
    CHECK(body_of(co_await client.read_answer()) == "ignored");
  }));
}

TEST_CASE("the role renders its own errors") {
  ServerOptions options;
  options.render_error = [](int status, std::exception_ptr error, const Request* request) {
    return http::json_response(status == 404 ? 410 : status,
                               fmt::format("{{\"error\":\"{}\",\"path\":\"{}\"}}", describe(error),
                                           request != nullptr ? request->path : ""));
  };
  run(with_server(by_path, options, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/throw"));
    const std::string answer = co_await client.read_answer();
    CHECK(status_of(answer) == 410);
    CHECK(body_of(answer) == "{\"error\":\"no such capsule\",\"path\":\"/throw\"}\n");
    co_await client.send("GET / HTTP/3.0\r\n\r\n");
    const std::string refused = co_await client.read_to_end();
    CHECK(status_of(refused) == 505);
    CHECK(refused.find("\"path\":\"\"") != refused.npos);
  }));
}

TEST_CASE("fields of an answer: ours are ours, the handler's are the handler's") {
  ServerOptions options;
  options.name = "wrenn-test";
  run(with_server(by_path, options, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/fields"));
    std::string answer = co_await client.read_answer();
    CHECK(answer.find("X-Request-Id: 42\r\n") != answer.npos);
    CHECK(answer.find("9999") == answer.npos);
    CHECK(answer.find("chunked") == answer.npos);
    CHECK(answer.find("Server: mine\r\n") != answer.npos);
    CHECK(answer.find("wrenn-test") == answer.npos);
    CHECK(body_of(answer).starts_with("127.0.0.1:"));
    co_await client.send(get("/health"));
    answer = co_await client.read_answer();
    CHECK(answer.find("Server: wrenn-test\r\n") != answer.npos);
    CHECK(answer.find("Date: ") != answer.npos);
  }));
}

TEST_CASE("requests that break HTTP are refused and the connection is closed") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    const std::pair<const char*, int> rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"\x16\x03\x01", 400},
    };
    for (const auto& [request, status] : rows) {
      INFO(request);
      const std::string answer = co_await exchange_to_end(server, std::string(request) + get("/health"));
      CHECK(status_of(answer) == status);
      CHECK(answer.find("Connection: close\r\n") != answer.npos);
      CHECK(answer.find("HTTP/1.1", 1) == answer.npos);
    }
    const std::string longer = co_await exchange_to_end(server, "GET /" + std::string(100'000, 'x'));
    CHECK(status_of(longer) == 414);
    const std::string larger =
        co_await exchange_to_end(server, get("/", "X: " + std::string(100'000, 'x') + "\r\n"));
    CHECK(status_of(larger) == 431);
    const std::string broken = co_await exchange_to_end(
        server, "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n");
    CHECK(status_of(broken) == 400);
    CHECK(broken.find("Connection: close\r\n") != broken.npos);
  }));
}

TEST_CASE("100-continue is sent when the handler wants the body") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send("POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    CHECK(co_await client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    co_await client.send("body");
    CHECK(body_of(co_await client.read_answer()) == "POST /x body");
    // A client that does not wait is not told to go on.
    co_await client.send(
        "POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
    CHECK(status_of(co_await client.read_answer()) == 200);
    // A handler that does not want the body answers at once, and then nobody knows what the client will send.
    co_await client.send(
        "POST /health HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    const std::string answer = co_await client.read_to_end();
    CHECK(status_of(answer) == 200);
    CHECK(answer.find("Connection: close\r\n") != answer.npos);
  }));
}

TEST_CASE("a body that the handler leaves is read away, or the connection is closed") {
  run(with_server(ignore_body, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    for (int i = 0; i < 3; ++i) {
      co_await client.send(post("/", std::string(60'000, 'x')));
      CHECK(status_of(co_await client.read_answer()) == 200);
    }
    co_await client.send(
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    CHECK(status_of(co_await client.read_answer()) == 200);
    co_await client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n");
    const std::string answer = co_await client.read_to_end();
    CHECK(status_of(answer) == 200);
    CHECK(answer.find("Connection: close\r\n") != answer.npos);

    // Endless chunks: the announcement did not tell, so the cut comes later, after the answer has been read.
    RawClient endless = co_await server.connect();
    co_await endless.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(status_of(co_await endless.read_answer()) == 200);
    bool cut = false;
    try {
      const std::string chunk = "2710\r\n" + std::string(10'000, 'x') + "\r\n";
      for (int i = 0; i < 10'000; ++i) co_await endless.send(chunk);
    } catch (const Error&) {
      cut = true;
    }
    CHECK(cut);
  }));
}

TEST_CASE("an answer before the end of a large body arrives") {
  const auto refuse = [](Request&, Reply&) -> Task<> {
    throw Error(ErrorCode::too_large, "too much");
    co_return;
  };
  run(with_server(refuse, {}, [](TestServer& server) -> Task<> {
    for (int i = 0; i < 20; ++i) {
      RawClient client = co_await server.connect();
      co_await client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 500000\r\n\r\n" +
                           std::string(200'000, 'x'));
      const std::string answer = co_await client.read_until("too much\n");
      CHECK(status_of(answer) == 413);
    }
  }));
}

TEST_CASE("large bodies pass, both ways") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    const std::string body(20 << 20, 'y');
    RawClient client = co_await server.connect();
    async::Scope scope(co_await asio::this_coro::executor, "writer");
    scope.spawn(client.send(post("/big", body)));
    const std::string answer = co_await client.read_answer();
    co_await scope.join();
    CHECK(body_of(answer) == "POST /big " + body);
  }));
}

namespace {

struct Flow {
  std::size_t written = 0;
  bool ended = false;
};
Flow flow;

Task<> pour(Request&, Reply& reply) {
  const std::string piece(64 * 1024, 'z');
  auto out = co_await reply.stream(200, {});
  try {
    for (;;) {
      co_await out->write(piece);
      flow.written += piece.size();
    }
  } catch (...) {
    flow.ended = true;
    throw;
  }
}

Task<> sip(Request& request, Reply& reply) {
  char byte;
  const std::span<char> space(&byte, 1);
  co_await request.body->read_some(space);
  co_await async::sleep(300ms);
  auto response = http::text_response(200, "enough");
  co_await reply.send(std::move(response));
}

}  // namespace

TEST_CASE("a client that does not read holds the handler back, and its end ends the handler") {
  flow = {};
  run(with_server(pour, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/"));
    co_await async::sleep(100ms);
    const std::size_t held = flow.written;
    CHECK(held > 0);
    CHECK(held < (32u << 20));  // what the kernel buffers
    co_await async::sleep(100ms);
    CHECK(flow.written == held);
    co_await client.read_exactly(held / 2);
    co_await async::sleep(50ms);
    CHECK(flow.written > held);
    client.close();
    for (int i = 0; i < 200 && !flow.ended; ++i) co_await async::sleep(10ms);
    CHECK(flow.ended);
  }));
}

TEST_CASE("a handler that does not read holds the client back") {
  run(with_server(sip, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n");
    std::size_t sent = 0;
    const auto push = [](RawClient& to, std::size_t& count) -> Task<> {
      const std::string piece(100'000, 'x');
      for (int i = 0; i < 1000; ++i) {
        co_await to.send(piece);
        count += piece.size();
      }
    };
    auto pushing = push(client, sent);
    auto waiting = async::sleep(200ms);
    CHECK(co_await async::first_of(std::move(pushing), std::move(waiting)) == 1);
    CHECK(sent < 50'000'000);
  }));
}

TEST_CASE("500 idle streams do not keep others from being served") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    std::vector<RawClient> idle;
    for (int i = 0; i < 500; ++i) {
      idle.push_back(co_await server.connect());
      co_await idle.back().send(get("/idle"));
    }
    for (auto& client : idle) {
      const std::string head = co_await client.read_until("\r\n\r\n");
      REQUIRE(status_of(head) == 200);
    }
    CHECK(server.server.open_connections() == 500);
    RawClient client = co_await server.connect();
    const auto begin = std::chrono::steady_clock::now();
    co_await client.send(get("/health"));
    CHECK(status_of(co_await client.read_answer()) == 200);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
  }));
}

// ---- time-outs ----

TEST_CASE("a head that trickles in is cut off by its deadline, not by its stalls") {
  ServerOptions options;
  options.head_timeout = 1s;
  run(with_server(by_path, options, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    const auto drip = [](RawClient& to) -> Task<> {
      const std::string head = get("/" + std::string(1000, 'x'));
      for (const char c : head) {
        co_await to.send(std::string(1, c));
        co_await async::sleep(20ms);
      }
    };
    const auto listen = [](RawClient& from, std::string& answer) -> Task<> {
      answer = co_await from.read_to_end();
    };
    std::string answer;
    const auto begin = std::chrono::steady_clock::now();
    auto dripping = drip(client);
    auto listening = listen(client, answer);
    CHECK(co_await async::first_of(std::move(dripping), std::move(listening)) == 1);
    CHECK(status_of(answer) == 408);
    CHECK(std::chrono::steady_clock::now() - begin < 6s);
  }));
}

TEST_CASE("an idle connection is closed without a word") {
  ServerOptions options;
  options.idle_timeout = 1s;
  run(with_server(by_path, options, [](TestServer& server) -> Task<> {
    RawClient silent = co_await server.connect();
    RawClient used = co_await server.connect();
    co_await used.send(get("/health"));
    CHECK(status_of(co_await used.read_answer()) == 200);
    CHECK(co_await silent.read_to_end() == "");
    CHECK(co_await used.read_to_end() == "");
  }));
}

TEST_CASE("a body that stalls fails its handler") {
  static std::string seen;
  seen.clear();
  const auto read = [](Request& request, Reply&) -> Task<> {
    try {
      co_await request.body->read_all(1000);
    } catch (const Error& error) {
      seen = to_string(error.code());
      throw;
    }
  };
  ServerOptions options;
  options.body_stall_timeout = 1s;
  run(with_server(read, options, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc");
    co_await client.read_to_end();
    CHECK(seen == "deadline_exceeded");
  }));
}

TEST_CASE("a client that goes away before the end of its body fails the handler") {
  static std::string seen;
  seen.clear();
  const auto read = [](Request& request, Reply&) -> Task<> {
    try {
      co_await request.body->read_all(1000);
    } catch (const Error& error) {
      seen = to_string(error.code());
      throw;
    }
  };
  run(with_server(read, {}, [](TestServer& server) -> Task<> {
    for (const char* start : {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc",
                              "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                              "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"}) {
      seen.clear();
      RawClient client = co_await server.connect();
      co_await client.send(start);
      client.close();
      for (int i = 0; i < 200 && seen.empty(); ++i) co_await async::sleep(5ms);
      CHECK(seen == "unavailable");
    }
  }));
}

// ---- the client's end ----

namespace {

Task<> wait_for_client(Request&, Reply& reply) {
  auto gone = reply.client_gone();
  auto limit = async::sleep(10s);
  flow.written = static_cast<std::size_t>(co_await async::first_of(std::move(gone), std::move(limit)));
  flow.ended = true;
}

}  // namespace

TEST_CASE("a handler can watch for the end of its client") {
  run(with_server(wait_for_client, {}, [](TestServer& server) -> Task<> {
    for (const bool pipelined : {false, true}) {
      flow = {};
      RawClient client = co_await server.connect();
      // Bytes behind the request are the next request and no sign of life or death.
      co_await client.send(get("/") + (pipelined ? get("/next") : ""));
      co_await async::sleep(50ms);
      if (!pipelined) co_await client.send("GET /next HT");
      co_await async::sleep(50ms);
      CHECK_FALSE(flow.ended);
      client.close();
      for (int i = 0; i < 300 && !flow.ended; ++i) co_await async::sleep(10ms);
      CHECK(flow.ended);
      CHECK(flow.written == 0);
    }
  }));
}

TEST_CASE("a connection can be taken from HTTP, with what was read ahead") {
  const auto take = [](Request&, Reply& reply) -> Task<> {
    std::string unread;
    net::Stream stream = reply.hijack(unread);
    co_await stream.write("taken:" + unread);
    std::vector<char> space(100);
    const std::size_t got = co_await stream.read_some(space);
    co_await stream.write(std::string_view(space.data(), got));
  };
  run(with_server(take, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/") + "raw bytes");
    CHECK(co_await client.read_exactly(15) == "taken:raw bytes");
    co_await client.send("more");
    CHECK(co_await client.read_to_end() == "more");
  }));
}

// ---- limits and the end of the server ----

TEST_CASE("one connection too many is turned away") {
  ServerOptions options;
  options.connections_max = 2;
  run(with_server(by_path, options, [](TestServer& server) -> Task<> {
    RawClient a = co_await server.connect();
    RawClient b = co_await server.connect();
    co_await a.send(get("/health"));
    co_await b.send(get("/health"));
    CHECK(status_of(co_await a.read_answer()) == 200);
    CHECK(status_of(co_await b.read_answer()) == 200);
    RawClient c = co_await server.connect();
    CHECK(status_of(co_await c.read_to_end()) == 503);
    a.close();
    for (int i = 0; i < 200 && server.server.open_connections() > 1; ++i) co_await async::sleep(5ms);
    RawClient d = co_await server.connect();
    co_await d.send(get("/health"));
    CHECK(status_of(co_await d.read_answer()) == 200);
  }));
}

namespace {

Task<> slow(Request&, Reply& reply) {
  co_await async::sleep(150ms);
  auto response = http::text_response(200, "slow");
  co_await reply.send(std::move(response));
}

}  // namespace

TEST_CASE("a server that stops lets running requests end") {
  run(with_server(slow, {}, [](TestServer& server) -> Task<> {
    RawClient running = co_await server.connect();
    RawClient waiting = co_await server.connect();
    co_await running.send(get("/"));
    co_await async::sleep(20ms);
    const auto begin = std::chrono::steady_clock::now();
    co_await server.server.stop(5s);
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    const std::string answer = co_await running.read_to_end();
    CHECK(status_of(answer) == 200);
    CHECK(answer.ends_with("slow"));
    CHECK(co_await waiting.read_to_end() == "");
    std::string refused;
    try {
      co_await server.connect();
    } catch (const Error& error) {
      refused = to_string(error.code());
    }
    CHECK(refused == "unavailable");
    co_await server.server.stop(5s);  // again does nothing
  }));
}

TEST_CASE("a server that stops cancels the handlers of long streams") {
  run(with_server(by_path, {}, [](TestServer& server) -> Task<> {
    RawClient client = co_await server.connect();
    co_await client.send(get("/idle"));
    CHECK(status_of(co_await client.read_until("\r\n\r\n")) == 200);
    const auto begin = std::chrono::steady_clock::now();
    co_await server.server.stop(100ms);
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    CHECK(co_await client.read_to_end() == "");
  }));
}

TEST_CASE("a Unix socket serves too, with the mode asked for, and its file is removed") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    const std::string path = fmt::format("/tmp/wrenn-unit-http-{}.sock", ::getpid());
    {
      net::Listener listener(executor, net::Address::unix_socket(path), 0620);
      http::Server server(executor, by_path, {});
      async::Scope scope(executor, "test");
      scope.spawn(server.serve(listener));
      RawClient client = co_await RawClient::connect(listener.address());
      co_await client.send(get("/fields"));
      CHECK(body_of(co_await client.read_answer()) == "unix");
      CHECK_THROWS_AS(net::Listener(executor, net::Address::unix_socket(path)), Error);
      co_await server.stop(0s);
      co_await scope.join();
    }
    CHECK(::access(path.c_str(), F_OK) != 0);
  }());
}
