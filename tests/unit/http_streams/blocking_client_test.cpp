// The other end is a thread that reads one request and writes prepared bytes, so that the client is tested
// against the protocol and not against another piece of the same code.
#include "core/http/blocking_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/text.h"

using namespace wrenn;
using namespace wrenn::http;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

class CannedServer {
 public:
  // Answers each of `answers` once a request has come whose end is `request_end`. An empty answer: silence
  // until the client gives up.
  CannedServer(std::vector<std::string> answers, std::string request_end = "\r\n\r\n")
      : answers_(std::move(answers)),
        request_end_(std::move(request_end)),
        fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~CannedServer() { stop(); }
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  // What the client sent; the server has ended then.
  std::string request() {
    stop();
    return request_;
  }

 private:
  void stop() {
    if (!thread_.joinable()) return;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

  void serve() {
    const int connection = ::accept(fd_, nullptr, nullptr);
    if (connection < 0) return;
    for (const auto& answer : answers_) {
      std::string request;
      char buffer[4096];
      while (!request.ends_with(request_end_)) {
        const auto count = ::read(connection, buffer, sizeof buffer);
        if (count <= 0) break;
        request.append(buffer, static_cast<std::size_t>(count));
      }
      request_ += request;
      if (answer.empty()) {
        while (::read(connection, buffer, sizeof buffer) > 0) {
        }
      } else {
        (void)!::write(connection, answer.data(), answer.size());
      }
    }
    ::close(connection);
  }

  std::vector<std::string> answers_;
  std::string request_end_;
  int fd_;
  std::uint16_t port_ = 0;
  std::string request_;
  std::thread thread_;
};

std::string answer(int status, const std::string& body, const std::string& fields = "") {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), fields, body);
}

std::string failure(BlockingClient& client) {
  try {
    client.send("GET", "/x", {}, "");
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.code()), error.what());
  }
  return "no failure";
}

}  // namespace

TEST_CASE("a request goes out whole and its answer comes back", "[blocking_client]") {
  CannedServer server({answer(201, "made", "X-Id: 7\r\n")}, "{}");
  Headers common, own;
  common.set("X-API-Key", "k");
  common.set("Accept", "text/html");
  own.set("Accept", "application/json");
  own.set("Content-Type", "application/json");
  BlockingClient client(server.url() + "/prefix/", common);
  const auto response = client.send("POST", "/v1/x?q=a%20b", own, "{}");
  CHECK(response.status == 201);
  CHECK(response.body == "made");
  CHECK(response.headers.get("x-id") == "7");
  const auto request = server.request();
  CHECK_THAT(request, Contains("POST /prefix/v1/x?q=a%20b HTTP/1.1\r\n") && Contains("X-API-Key: k\r\n") &&
                          Contains("Accept: application/json\r\n") && !Contains("text/html") &&
                          Contains("Content-Length: 2\r\n") && Contains("User-Agent: wrenn\r\n"));
}

TEST_CASE("one connection serves several requests, and statuses are answers", "[blocking_client]") {
  CannedServer server({answer(404, "no"), "HTTP/1.1 204 No Content\r\n\r\n", answer(500, "")});
  BlockingClient client(server.url());
  CHECK(client.send("GET", "/a", {}, "").status == 404);
  CHECK(client.send("DELETE", "/b", {}, "").status == 204);
  CHECK(client.send("GET", "/c", {}, "").status == 500);
}

TEST_CASE("downloads come in pieces, errors come whole, and the receiver can stop", "[blocking_client]") {
  const std::string big(1 << 20, 'x');
  std::string got;
  const auto keep = [&got](std::string_view piece) {
    got += piece;
    return true;
  };
  {
    CannedServer server({answer(200, big)});
    BlockingClient client(server.url());
    const auto response = client.download("GET", "/f", {}, "", keep);
    CHECK(response.status == 200);
    CHECK(response.body.empty());
    CHECK((got == big));
  }
  got.clear();
  {
    CannedServer server({answer(404, "{\"error\":1}")});
    BlockingClient client(server.url());
    CHECK(client.download("GET", "/f", {}, "", keep).body == "{\"error\":1}");
    CHECK(got.empty());
  }
  {
    CannedServer server({answer(200, big)});
    BlockingClient client(server.url());
    int pieces = 0;
    const auto response =
        client.download("GET", "/f", {}, "", [&pieces](std::string_view) { return ++pieces < 2; });
    CHECK(response.status == 200);
    CHECK(pieces == 2);
  }
  {
    CannedServer server({answer(200, big)});
    BlockingClient client(server.url());
    const auto refuse = [](std::string_view) -> bool {
      throw Error(ErrorCode::resource_exhausted, "disk is full");
    };
    CHECK_THROWS_WITH(client.download("GET", "/f", {}, "", refuse), "disk is full");
  }
}

TEST_CASE("uploads are chunked", "[blocking_client]") {
  CannedServer server({answer(200, "ok")}, "0\r\n\r\n");
  BlockingClient client(server.url());
  int calls = 0;
  const auto produce = [&calls](std::string& out) {
    out = calls == 1 ? "" : fmt::format("piece{}", calls);
    return ++calls < 3;
  };
  CHECK(client.upload("PUT", "/f", {}, "application/octet-stream", produce).status == 200);
  const auto request = server.request();
  CHECK_THAT(request, Contains("Transfer-Encoding: chunked\r\n") && !Contains("Content-Length") &&
                          Contains("\r\n\r\n6\r\npiece0\r\n6\r\npiece2\r\n0\r\n\r\n"));
}

TEST_CASE("a failing producer fails the upload with its own error", "[blocking_client]") {
  CannedServer server({""}, "0\r\n\r\n");
  BlockingClient client(server.url());
  const auto produce = [](std::string&) -> bool { throw Error(ErrorCode::not_found, "no such file"); };
  CHECK_THROWS_WITH(client.upload("PUT", "/f", {}, "x/y", produce), "no such file");
}

TEST_CASE("failures say what, why and what to do", "[blocking_client]") {
  {
    CannedServer server({});  // its port is free again below
    BlockingClient client(server.url());
    server.request();
    CHECK_THAT(failure(client),
               Contains("unavailable: cannot connect to " + server.url() + ": Connection refused. Is"));
  }
  {
    BlockingClient client("http://no-such-host.invalid:1");
    CHECK_THAT(failure(client), Contains("cannot be resolved"));
  }
  {
    CannedServer server({""});
    BlockingClient client(server.url());
    client.set_timeout(1s);
    const auto start = SteadyClock::now();
    CHECK_THAT(failure(client), Contains("deadline_exceeded") && Contains("/x: no answer within 1 s"));
    CHECK(SteadyClock::now() - start < 4s);
  }
  {
    CannedServer server({"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"});
    BlockingClient client(server.url());
    CHECK_THAT(failure(client), Contains("closed the connection before its answer was complete"));
  }
}

TEST_CASE("base URLs: what is accepted and what is not", "[blocking_client]") {
  for (const auto* good :
       {"http://127.0.0.1:8000", "http://[::1]:8000/", "http://host", "http://host:", "https://host/a/b"}) {
    INFO(good);
    CHECK_NOTHROW(BlockingClient(good));
  }
  for (const auto* bad : {"", "127.0.0.1:8000", "ftp://x", "http://", "http:///x", "http://x:0",
                          "http://x:65536", "http://x:8o", "http://u@x", "http://x?q", "http://x/#f",
                          "http://x/a b", "http://::1:80", "http://[::1", "http://[::1]x", "http://x y"}) {
    INFO(bad);
    CHECK_THROWS_WITH(BlockingClient(bad), Contains("no usable URL"));
  }
}

TEST_CASE("targets that would change the request are refused", "[blocking_client]") {
  BlockingClient client("http://127.0.0.1:1");
  CHECK_THROWS_WITH(client.send("GET", "/a b", {}, ""), Contains("no valid HTTP request"));
  CHECK_THROWS_WITH(client.send("GET", "/a\r\nX: y", {}, ""), Contains("no valid HTTP request"));
  CHECK_THROWS_WITH(client.send("GET", "a", {}, ""), Contains("no valid HTTP request"));
  CHECK_THROWS_WITH(client.send("G T", "/a", {}, ""), Contains("no valid HTTP request"));
}
