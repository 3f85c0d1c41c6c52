// Ports of guests through the agent: programs that behave, programs that do not, and sandboxes that end.
#include <catch2/catch.hpp>

#include "core/http/websocket.h"
#include "http/loopback.h"
#include "service_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

namespace {

constexpr std::size_t kMib = 1024 * 1024;

// A running sandbox with a program that listens on one of its ports.
struct Guest {
  Service& service;
  std::string id;
  std::uint16_t port = 0;

  std::string target(std::string_view rest = "/") const {
    return fmt::format("/proxy/{}/{}{}", id, port, rest);
  }
  Task<RawClient> connect() const { return RawClient::connect(service.http.address()); }
  Task<http::Response> ask(std::string target, http::Headers headers = {}) const {
    http::ClientRequest request;
    request.target = std::move(target);
    request.headers = std::move(headers);
    co_return co_await service.http.send(std::move(request));
  }
};
using Body = std::function<Task<>(Guest&)>;

Task<> in_sandbox(World& world, std::uint16_t port, Body body) {
  Service service(co_await asio::this_coro::executor, world);
  const auto request = create_request();
  co_await service.client.create(request);
  Guest guest{service, request.sandbox_id, port};
  co_await body(guest);
  co_await service.client.destroy(guest.id);
  co_await check_empty(world, service.agent);
  co_await service.end();
}

// A program that speaks HTTP.
void with_program(http::Handler handler, Body body) {
  in_world([&](World& world) -> Task<> {
    co_await with_server(handler, {}, [&](TestServer& server) -> Task<> {
      co_await in_sandbox(world, server.address().port(), body);
    });
  });
}
// One that does what it likes with its connections.
void with_raw_program(PeerFunction peer, Body body) {
  in_world([&](World& world) -> Task<> {
    co_await with_peer(
        peer, [&](net::Address address) -> Task<> { co_await in_sandbox(world, address.port(), body); });
  });
}

Task<> show(http::Request& request, http::Reply& reply) {
  http::Response response;
  response.status = 201;
  response.headers.set("X-Program", "yes");
  response.body = request.method + " " + request.target + "\n";
  for (const auto& [name, value] : request.headers.fields()) response.body += name + ": " + value + "\n";
  response.body += "\n" + co_await request.body->read_all(10 * kMib);
  co_await reply.send(std::move(response));
}

Task<> echo_body(http::Request& request, http::Reply& reply) {
  auto out = co_await reply.stream(200, {});
  std::string buffer(64 * 1024, '\0');
  for (;;) {
    const std::size_t got = co_await request.body->read_some(buffer);
    if (got == 0) break;
    co_await out->write(std::string_view(buffer).substr(0, got));
  }
  co_await out->finish();
}

Task<> echo_messages(http::Request&, http::Reply& reply) {
  const http::WebSocketOptions options;
  http::WebSocket socket = co_await reply.accept_websocket(options);
  while (auto message = co_await socket.receive()) co_await socket.send_text("echo " + message->data);
}

std::size_t produced = 0;
Task<> endless(http::Request&, http::Reply& reply) {
  auto out = co_await reply.stream(200, {});
  const std::string piece(64 * 1024, 'e');
  produced = 0;
  for (;;) {
    co_await out->write(piece);
    produced += piece.size();
    co_await async::yield();
  }
}

Task<> lines(http::Request&, http::Reply& reply) {
  auto out = co_await reply.stream(200, {});
  for (;;) {
    co_await out->write("line\n");
    co_await async::sleep(20ms);
  }
}

Task<> by_pause(Guest& guest) {
  co_await guest.service.client.pause(guest.id);
}
Task<> by_destroy(Guest& guest) {
  co_await guest.service.client.destroy(guest.id);
}
Task<> by_end_of_vmm(Guest& guest) {
  World& world = guest.service.world;
  world.end(world.pids().front(), agent::vmm::MachineEnd::Cause::failed);
  co_await wait_for_state(guest.service.agent, guest.id, SandboxState::error);
}
using Stop = Task<> (*)(Guest&);

// What comes until the connection ends.
Task<> read_all(RawClient& client, std::string& seen, bool& ended) {
  seen = co_await client.read_to_end();
  ended = true;
}

Task<> stream_breaks_off(Guest& guest, std::string request, std::string first, Stop stop) {
  RawClient client = co_await guest.connect();
  co_await client.send(std::move(request));
  co_await client.read_until(std::move(first));
  std::string rest;
  bool ended = false;
  async::Scope scope(co_await asio::this_coro::executor, "test");
  scope.spawn(read_all(client, rest, ended));
  co_await stop(guest);
  for (int i = 0; i < 300 && !ended; ++i) co_await async::sleep(10ms);
  CHECK(ended);
  CHECK(!rest.ends_with("0\r\n\r\n"));
  scope.cancel();
  co_await scope.join();
  // And whoever comes next learns that there is nothing any more.
  const auto response = co_await guest.ask(guest.target());
  CHECK(response.status == 502);
  CHECK(response.body ==
        fmt::format(R"({{"sandboxId":"{}","message":"The sandbox was not found","code":502}})"
                    "\n",
                    guest.id));
}

}  // namespace

TEST_CASE("a request reaches the program as it was sent", "[agent][ports]") {
  with_program(show, [](Guest& guest) -> Task<> {
    RawClient client = co_await guest.connect();
    co_await client.send(
        fmt::format("BREW {} HTTP/1.1\r\nHost: 8080-x.example.com\r\nX-Own: 1\r\nX-Wrenn-Agent-Token: "
                    "t\r\nContent-Length: 5\r\n\r\nhello",
                    guest.target("//a%2Fb/?q=%20&r=/")));
    const std::string answer = co_await client.read_answer();
    CHECK(status_of(answer) == 201);
    CHECK(answer.find("X-Program: yes\r\n") != answer.npos);
    const std::string seen = body_of(answer);
    CHECK(seen.starts_with("BREW //a%2Fb/?q=%20&r=/\n"));
    CHECK(seen.find("Host: 8080-x.example.com\n") != seen.npos);
    CHECK(seen.find("X-Own: 1\n") != seen.npos);
    CHECK(seen.find("Connection: close\n") != seen.npos);
    CHECK(seen.find("Agent-Token") == seen.npos);
    CHECK(seen.find("X-Access-Token") == seen.npos);
    CHECK(seen.ends_with("\n\nhello"));
    // The connection to the agent is kept although the one to the program is not.
    co_await client.send(fmt::format("HEAD {} HTTP/1.1\r\nHost: a\r\n\r\n", guest.target("/head")));
    const std::string head = co_await client.read_until("\r\n\r\n");
    CHECK(status_of(head) == 201);
    CHECK(head.find("Content-Length: ") != head.npos);
  });
}

TEST_CASE("big bodies stream both ways at once", "[agent][ports]") {
  with_program(echo_body, [](Guest& guest) -> Task<> {
    RawClient client = co_await guest.connect();
    const std::string body(48 * kMib, 'b');
    async::Scope scope(co_await asio::this_coro::executor, "send");
    scope.spawn(client.send(
        fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                    guest.target(), body.size(), body)));
    const std::string answer = co_await client.read_to_end();
    co_await scope.join();
    CHECK(static_cast<std::size_t>(std::count(answer.begin(), answer.end(), 'b')) >= body.size());
    CHECK(answer.ends_with("\r\n0\r\n\r\n"));
  });
}

TEST_CASE("a client that does not read holds the program back", "[agent][ports]") {
  with_program(endless, [](Guest& guest) -> Task<> {
    RawClient client = co_await guest.connect();
    co_await client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", guest.target()));
    co_await client.read_until("\r\n\r\n");
    std::size_t before = 1;
    for (int i = 0; i < 100 && produced != before; ++i) {
      before = produced;
      co_await async::sleep(100ms);
    }
    CHECK(produced == before);
    // Buffers of kernels on the way; without back-pressure it would be gigabytes by now.
    CHECK(produced < 64 * kMib);
    client.close();
  });
}

TEST_CASE("WebSockets pass", "[agent][ports]") {
  with_program(echo_messages, [](Guest& guest) -> Task<> {
    http::WebSocket socket = co_await guest.service.http.websocket(guest.target("/ws"), {});
    const std::string big(kMib, 'x');
    for (const std::string& text : {std::string("one"), big, std::string("two")}) {
      co_await socket.send_text(text);
      const auto message = co_await socket.receive();
      REQUIRE(message);
      CHECK(message->data == "echo " + text);
    }
    co_await socket.close(1000, "");
  });
}

TEST_CASE("any upgrade passes, and half of it may end before the other", "[agent][ports]") {
  const auto program = [](RawClient& client) -> Task<> {
    co_await client.read_until("\r\n\r\n");
    co_await client.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tally\r\n\r\nhello ");
    const std::string heard = co_await client.read_to_end();
    co_await client.send("heard " + heard);
  };
  with_raw_program(program, [](Guest& guest) -> Task<> {
    RawClient client = co_await guest.connect();
    co_await client.send(fmt::format(
        "GET {} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tally\r\n\r\nfirst ", guest.target()));
    const std::string head = co_await client.read_until("\r\n\r\n");
    CHECK(status_of(head) == 101);
    CHECK(head.find("Upgrade: tally\r\n") != head.npos);
    co_await client.read_until("hello ");
    co_await client.send("second");
    client.stream().shutdown_write();
    CHECK(co_await client.read_to_end() == "heard first second");
  });
}

TEST_CASE("envd's own port asks for the sandbox's token, and keeps the host's calls to the host",
          "[agent][ports]") {
  with_program(show, [](Guest& guest) -> Task<> {
    guest.port = api::envd::kPort;
    auto response = co_await guest.ask(guest.target("/echo"));
    CHECK(response.status == 401);
    http::Headers token;
    token.set("X-Access-Token", "wrong");
    CHECK((co_await guest.ask(guest.target("/echo"), token)).status == 401);
    token.set("X-Access-Token", guest.service.world.token);
    response = co_await guest.ask(guest.target("/echo?a=b"), token);
    CHECK(response.status == 200);
    CHECK(response.body == "/echo?a=b|");
    const int inits = guest.service.world.inits;
    for (const char* path : {"/init", "/%69nit", "//init", "/upgrade"}) {
      response = co_await guest.ask(guest.target(path), token);
      CHECK(response.status == 404);
      CHECK(response.body == fmt::format(R"({{"message":"this path is not offered","path":"{}","code":404}})"
                                         "\n",
                                         path));
    }
    CHECK(guest.service.world.inits == inits);
    // The token is what the host tells its owner.
    const auto list = co_await guest.service.client.list();
    CHECK(list.sandboxes[0].access_token == guest.service.world.token);
  });
}

TEST_CASE("ports where nobody listens", "[agent][ports]") {
  with_program(show, [](Guest& guest) -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    std::uint16_t port = 0;
    {
      net::Listener closed(executor, net::Address::parse("127.0.0.1:0"));
      port = closed.address().port();
    }
    guest.port = port;
    const auto start = SteadyClock::now();
    auto response = co_await guest.ask(guest.target());
    CHECK(response.status == 502);
    CHECK(
        response.body ==
        fmt::format(R"({{"sandboxId":"{}","message":"The sandbox is running but port is not open","port":{},)"
                    R"("code":502}})"
                    "\n",
                    guest.id, port));
    CHECK(SteadyClock::now() - start >= 1s);  // it might have been about to listen
    http::Headers browser;
    browser.set("Accept", "text/html,*/*");
    response = co_await guest.ask(guest.target(), browser);
    CHECK(response.headers.get("Content-Type") == "text/html; charset=utf-8");
    CHECK(response.body.find("port is not open") != std::string::npos);
    for (const char* wrong : {"0", "65536", "-1", "080", "x"}) {
      INFO(wrong);
      response = co_await guest.ask(fmt::format("/proxy/{}/{}/", guest.id, wrong));
      CHECK(response.status == 400);
    }
    response = co_await guest.ask(fmt::format("/proxy/{}/80/", create_request().sandbox_id));
    CHECK(response.status == 502);
    CHECK(response.body.find("The sandbox was not found") != std::string::npos);
  });
}

TEST_CASE("a program that is a moment late is waited for", "[agent][ports]") {
  with_program(show, [](Guest& guest) -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    net::Listener reserved(executor, net::Address::parse("127.0.0.1:0"));
    guest.port = reserved.address().port();
    reserved.close();
    std::optional<http::Response> response;
    async::Scope scope(executor, "ask");
    const auto ask = [](Guest& to, std::optional<http::Response>& into) -> Task<> {
      into = co_await to.ask(to.target("/late"));
    };
    scope.spawn(ask(guest, response));
    co_await async::sleep(250ms);
    CHECK(!response);
    net::Listener listener(executor, net::Address::tcp("127.0.0.1", guest.port));
    http::Server server(executor, show, {});
    scope.spawn(server.serve(listener));
    for (int i = 0; i < 200 && !response; ++i) co_await async::sleep(10ms);
    REQUIRE(response);
    CHECK(response->status == 201);
    co_await server.stop(1s);
    co_await scope.join();
  });
}

TEST_CASE("programs that do not speak HTTP", "[agent][ports]") {
  const std::pair<const char*, const char*> rows[] = {
      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "an answer that is no HTTP"},
      {"", "closed the connection without an answer"},
      {"HTTP/1.1 200 OK\r\nContent-Le", "closed the connection without an answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "an answer that is no HTTP"},
  };
  for (const auto& [answer, told] : rows) {
    INFO(answer);
    const auto program = [answer = answer](RawClient& client) -> Task<> {
      co_await client.read_until("\r\n\r\n");
      co_await client.send(answer);
    };
    with_raw_program(program, [told = told](Guest& guest) -> Task<> {
      const auto response = co_await guest.ask(guest.target());
      CHECK(response.status == 502);
      CHECK(response.body.find(told) != std::string::npos);
    });
  }
}

TEST_CASE("an answer that breaks off is seen to break off", "[agent][ports]") {
  const auto program = [](RawClient& client) -> Task<> {
    co_await client.read_until("\r\n\r\n");
    co_await client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  };
  with_raw_program(program, [](Guest& guest) -> Task<> {
    RawClient client = co_await guest.connect();
    co_await client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", guest.target()));
    const std::string answer = co_await client.read_to_end();
    CHECK(answer.ends_with("5\r\nhello\r\n"));
  });
}

TEST_CASE("what is open breaks off when the sandbox is paused, destroyed, or dies", "[agent][ports]") {
  const Stop stops[] = {by_pause, by_destroy, by_end_of_vmm};
  for (const Stop stop : stops) {
    with_program(lines, [stop](Guest& guest) -> Task<> {
      auto request = fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", guest.target());
      co_await stream_breaks_off(guest, std::move(request), "line\n", stop);
    });
    const auto silent = [](RawClient& client) -> Task<> {
      co_await client.read_until("\r\n\r\n");
      co_await client.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tally\r\n\r\nhello");
      co_await client.read_to_end();
    };
    with_raw_program(silent, [stop](Guest& guest) -> Task<> {
      auto request = fmt::format(
          "GET {} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tally\r\n\r\n", guest.target());
      co_await stream_breaks_off(guest, std::move(request), "hello", stop);
    });
  }
}

TEST_CASE("a request that waits for its answer is told when the sandbox goes", "[agent][ports]") {
  const auto silent = [](RawClient& client) -> Task<> { co_await client.read_to_end(); };
  with_raw_program(silent, [](Guest& guest) -> Task<> {
    std::optional<http::Response> response;
    async::Scope scope(co_await asio::this_coro::executor, "ask");
    const auto ask = [](Guest& to, std::optional<http::Response>& into) -> Task<> {
      into = co_await to.ask(to.target());
    };
    scope.spawn(ask(guest, response));
    co_await async::sleep(100ms);
    co_await guest.service.client.destroy(guest.id);
    co_await scope.join();
    REQUIRE(response);
    CHECK(response->status == 502);
    CHECK(response->body.find("The sandbox was not found") != std::string::npos);
  });
}

TEST_CASE("strangers cannot hold more than so many requests open", "[agent][ports]") {
  with_program(show, [](Guest& guest) -> Task<> {
    const auto driver = guest.service.agent.sandboxes().get(guest.id);
    std::vector<std::unique_ptr<agent::sandbox::Passage>> inside;
    while (inside.size() < 999) inside.push_back(co_await driver->enter());
    CHECK((co_await guest.ask(guest.target())).status == 201);
    inside.push_back(co_await driver->enter());
    const auto response = co_await guest.ask(guest.target());
    CHECK(response.status == 429);
    CHECK(response.body.find("Too many connections") != std::string::npos);
    inside.clear();
    CHECK((co_await guest.ask(guest.target())).status == 201);
  });
}
