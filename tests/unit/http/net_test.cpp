// Addresses, listeners, streams and the pump.

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/net/stream.h"
#include "loopback.h"

using namespace wrenn;
using namespace wrenn::test;
using net::Address;

TEST_CASE("addresses") {
  struct Row {
    const char* text;
    const char* host;
    int port;
    const char* path;
  };
  const Row good[] = {
      {":8000", "", 8000, ""},
      {"127.0.0.1:0", "127.0.0.1", 0, ""},
      {"localhost:65535", "localhost", 65535, ""},
      {"a-b.c_d.example:1", "a-b.c_d.example", 1, ""},
      {"[::1]:8000", "::1", 8000, ""},
      {"[fe80::1]:1", "fe80::1", 1, ""},
      {"unix:/run/x.sock", "", 0, "/run/x.sock"},
      {"unix:relative", "", 0, "relative"},
  };
  for (const Row& row : good) {
    INFO(row.text);
    const Address address = Address::parse(row.text);
    CHECK(address.host() == row.host);
    CHECK(address.port() == row.port);
    CHECK(address.path() == row.path);
    CHECK(address.is_unix() == (row.path[0] != '\0'));
    CHECK(address.text() == row.text);
    CHECK(Address::parse(address.text()) == address);
  }
  for (const char* text :
       {"", "8000", "host", "host:", "host:x", "host:65536", "host:-1", "host: 1", "::1:80", "[::1:80",
        "[::1]80", "[nonsense]:80", "ho st:80", "host/x:80", "http://host:80", "unix:", "a:b:c"}) {
    INFO(text);
    CHECK_THROWS_AS(Address::parse(text), Error);
  }
  CHECK_THROWS_AS(Address::unix_socket(std::string(200, 'x')), Error);
}

namespace {

struct Pair {
  net::Stream client;
  net::Stream server;
};

Task<Pair> make_pair() {
  const auto executor = co_await asio::this_coro::executor;
  net::Listener listener(executor, Address::parse("127.0.0.1:0"));
  net::Stream client = co_await net::connect(listener.address(), 5s);
  net::Stream server = co_await listener.accept();
  co_return Pair{std::move(client), std::move(server)};
}

Task<std::string> code_of(Task<> task) {
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    co_return std::string(to_string(error.code()));
  }
  co_return "ok";
}

Task<> read_one(net::Stream& stream, std::size_t& got) {
  char byte;
  const std::span<char> space(&byte, 1);
  got = co_await stream.read_some(space);
}

Task<> write_for_ever(net::Stream& stream) {
  const std::string piece(1 << 20, 'x');
  for (;;) co_await stream.write(piece);
}

}  // namespace

TEST_CASE("a stream carries bytes, gathers pieces and sees the end") {
  run([]() -> Task<> {
    Pair pair = co_await make_pair();
    CHECK(pair.client.peer().starts_with("127.0.0.1:"));
    std::string expected;
    std::vector<std::string> owned;
    for (int i = 0; i < 3000; ++i)
      owned.push_back(std::string(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26)));
    std::vector<std::string_view> pieces(owned.begin(), owned.end());
    for (const auto piece : pieces) expected += piece;
    co_await pair.client.write(pieces);  // more pieces than one system call takes, some of them empty
    pair.client.shutdown_write();
    RawClient reader(std::move(pair.server));
    CHECK(co_await reader.read_to_end() == expected);
    co_await reader.send("half-closed");
    std::vector<char> space(100);
    CHECK(co_await pair.client.read_some(space) == 11);
  }());
}

TEST_CASE("a stall closes the stream, a deadline does not") {
  run([]() -> Task<> {
    Pair pair = co_await make_pair();
    std::size_t got = 0;
    pair.client.set_deadline(1s);
    CHECK(co_await code_of(read_one(pair.client, got)) == "deadline_exceeded");
    CHECK(pair.client.is_open());
    co_await pair.client.write("x");
    co_await read_one(pair.server, got);
    CHECK(got == 1);

    pair.client.set_stall_limit(1s);
    CHECK(co_await code_of(read_one(pair.client, got)) == "deadline_exceeded");
    CHECK_FALSE(pair.client.is_open());
    CHECK(co_await code_of(read_one(pair.client, got)) == "deadline_exceeded");

    pair.server.set_deadline(1s);  // nobody waits: the stream is closed
    for (int i = 0; i < 400 && pair.server.is_open(); ++i) co_await async::sleep(10ms);
    CHECK_FALSE(pair.server.is_open());
  }());
}

TEST_CASE("a write that nobody reads stalls too") {
  run([]() -> Task<> {
    Pair pair = co_await make_pair();
    pair.client.set_stall_limit(1s);
    CHECK(co_await code_of(write_for_ever(pair.client)) == "deadline_exceeded");
  }());
}

TEST_CASE("closing and cancelling end the waits") {
  run([]() -> Task<> {
    Pair pair = co_await make_pair();
    std::size_t got = 0;
    auto reading = read_one(pair.client, got);
    CHECK(co_await async::first_of(std::move(reading), async::sleep(5ms)) == 1);
    co_await pair.server.write("y");
    co_await read_one(pair.client, got);
    CHECK(got == 1);

    const auto close_soon = [](net::Stream& stream) -> Task<> {
      co_await async::sleep(5ms);
      stream.close();
    };
    std::string code;
    const auto read_code = [](net::Stream& stream, std::size_t& count, std::string& result) -> Task<> {
      result = co_await code_of(read_one(stream, count));
    };
    co_await async::both(read_code(pair.client, got, code), close_soon(pair.client));
    CHECK(code == "unavailable");
    CHECK(co_await code_of(write_for_ever(pair.server)) == "unavailable");
  }());
}

TEST_CASE("who writes to a quick reader still lets others run") {
  run([]() -> Task<> {
    Pair pair = co_await make_pair();
    int turns = 0;
    const auto count_turns = [](int& n) -> Task<> {
      for (;;) {
        co_await async::yield();
        ++n;
      }
    };
    const auto write_little = [](net::Stream& stream) -> Task<> {
      for (int i = 0; i < 1000; ++i) co_await stream.write("x");
    };
    CHECK(co_await async::first_of(write_little(pair.client), count_turns(turns)) == 0);
    CHECK(turns > 30);
  }());
}

TEST_CASE("the end of the peer is seen without reading") {
  run([]() -> Task<> {
    for (const bool pending : {false, true}) {
      Pair pair = co_await make_pair();
      if (pending) co_await pair.server.write("unread");
      CHECK(co_await async::first_of(pair.client.peer_closed(), async::sleep(50ms)) == 1);
      CHECK(pair.client.has_news() == pending);
      pair.server.close();
      CHECK(co_await async::first_of(pair.client.peer_closed(), async::sleep(5s)) == 0);
      CHECK(pair.client.has_news());
      std::size_t got = 9;
      co_await read_one(pair.client, got);
      CHECK(got == (pending ? 1 : 0));
    }
  }());
}

namespace {

Task<> pump_and_note(Pair& left, Pair& right, std::string from_left, std::string from_right, bool& ended,
                     int& moved) {
  co_await net::pump(left.server, right.client, std::move(from_left), std::move(from_right),
                     [&moved] { ++moved; });
  ended = true;
}

}  // namespace

TEST_CASE("the pump passes bytes and half-closes on, both ways") {
  run([]() -> Task<> {
    Pair left = co_await make_pair();
    Pair right = co_await make_pair();
    bool ended = false;
    int moved = 0;
    async::Scope scope(co_await asio::this_coro::executor, "pump");
    scope.spawn(pump_and_note(left, right, "before left ", "before right ", ended, moved));
    RawClient a(std::move(left.client));
    RawClient b(std::move(right.server));
    CHECK(co_await a.read_exactly(13) == "before right ");
    CHECK(co_await b.read_exactly(12) == "before left ");
    const std::string large(5 << 20, 'q');
    scope.spawn(a.send(large));
    CHECK(co_await b.read_exactly(large.size()) == large);
    a.stream().shutdown_write();
    CHECK(co_await b.read_to_end() == "");
    CHECK_FALSE(ended);
    co_await b.send("last words");
    b.close();
    CHECK(co_await a.read_to_end() == "last words");
    co_await scope.join();
    CHECK(ended);
    CHECK(moved > 4);
  }());
}

static Task<> note_code(Task<> task, std::string& out) {
  out = co_await code_of(std::move(task));
}

TEST_CASE("a broken side ends the pump") {
  run([]() -> Task<> {
    Pair left = co_await make_pair();
    Pair right = co_await make_pair();
    bool ended = false;
    int moved = 0;
    std::string code;
    async::Scope scope(co_await asio::this_coro::executor, "pump");
    scope.spawn(note_code(pump_and_note(left, right, "", "", ended, moved), code));
    co_await async::sleep(5ms);
    left.client.abort();
    co_await scope.join();
    CHECK(code == "unavailable");
  }());
}

TEST_CASE("a Unix peer that closes whole before the other side has ended breaks the pump") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    const auto address = Address::unix_socket(fmt::format("/tmp/wrenn-unit-pump-{}.sock", ::getpid()));
    net::Listener listener(executor, address);
    for (const bool half_first : {false, true}) {
      net::Stream near = co_await net::connect(address, 5s);
      Pair left{std::move(near), co_await listener.accept()};
      Pair right = co_await make_pair();
      bool ended = false;
      int moved = 0;
      std::string code;
      async::Scope scope(executor, "pump");
      scope.spawn(note_code(pump_and_note(left, right, "", "", ended, moved), code));
      co_await async::sleep(5ms);
      // With the other direction over, nothing is lost by leaving.
      if (half_first) right.server.shutdown_write();
      co_await async::sleep(5ms);
      left.client.close();
      co_await async::sleep(5ms);
      CHECK(ended == half_first);
      if (!half_first) CHECK(code == "unavailable");
      right.server.close();
      co_await scope.join();
    }
  }());
}

TEST_CASE("a listener says who is in its way") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    net::Listener first(executor, Address::parse("127.0.0.1:0"));
    CHECK(first.address().port() != 0);
    std::string text;
    try {
      net::Listener second(executor, first.address());
    } catch (const Error& error) {
      text = std::string(to_string(error.code())) + ": " + error.what();
    }
    CHECK(text.starts_with("already_exists: listen on 127.0.0.1:"));
    CHECK_THROWS_AS(net::Listener(executor, Address::parse("no.such.host.example:80")), Error);

    net::Listener everywhere(executor, Address::parse(":0"));
    net::Stream v4 = co_await net::connect(Address::tcp("127.0.0.1", everywhere.address().port()), 5s);
    net::Stream accepted = co_await everywhere.accept();
    CHECK(accepted.peer().starts_with("127.0.0.1:"));
  }());
}

TEST_CASE("a stale socket file is replaced, a live one and a foreign file are not") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    const std::string path = fmt::format("/tmp/wrenn-unit-net-{}.sock", ::getpid());
    const auto address = Address::unix_socket(path);
    {
      // Left behind by a program that died.
      asio::io_context other;
      asio::local::stream_protocol::socket dead(other);
      dead.open();
      dead.bind(asio::local::stream_protocol::endpoint(path));
    }
    {
      net::Listener listener(executor, address, 0640);
      struct stat status;
      REQUIRE(::stat(path.c_str(), &status) == 0);
      CHECK((status.st_mode & 0777) == 0640);
      CHECK_THROWS_AS(net::Listener(executor, address), Error);
      net::Stream stream = co_await net::connect(address, 5s);
    }
    CHECK(::access(path.c_str(), F_OK) != 0);
    std::fclose(std::fopen(path.c_str(), "w"));
    CHECK_THROWS_AS(net::Listener(executor, address), Error);
    CHECK(::access(path.c_str(), F_OK) == 0);
    ::unlink(path.c_str());
  }());
}

TEST_CASE("a listener without descriptors waits for some") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    net::Listener listener(executor, Address::parse("127.0.0.1:0"));
    net::Stream client = co_await net::connect(listener.address(), 5s);
    const int highest = ::dup(0);
    ::close(highest);
    rlimit limits{};
    ::getrlimit(RLIMIT_NOFILE, &limits);
    rlimit low = limits;
    low.rlim_cur = static_cast<rlim_t>(highest);
    ::setrlimit(RLIMIT_NOFILE, &low);
    bool accepted = false;
    const auto accept = [](net::Listener& from, bool& done) -> Task<> {
      net::Stream stream = co_await from.accept();
      done = true;
    };
    async::Scope scope(executor, "accept");
    scope.spawn(accept(listener, accepted));
    co_await async::sleep(250ms);
    CHECK_FALSE(accepted);
    ::setrlimit(RLIMIT_NOFILE, &limits);
    co_await scope.join();
    CHECK(accepted);
  }());
}

TEST_CASE("a Unix listener whose queue is full is waited for") {
  run([]() -> Task<> {
    const auto executor = co_await asio::this_coro::executor;
    const auto address = Address::unix_socket(fmt::format("/tmp/wrenn-unit-queue-{}.sock", ::getpid()));
    net::Listener listener(executor, address);
    // Shrink its queue: listen() may be called again.
    const int fd = ::dup(3);
    ::close(fd);
    for (int candidate = 3; candidate < fd; ++candidate) ::listen(candidate, 0);
    std::vector<net::Stream> streams;
    const auto connect_many = [](Address to, std::vector<net::Stream>& out) -> Task<> {
      for (int i = 0; i < 6; ++i) out.push_back(co_await net::connect(to, 5s));
    };
    async::Scope scope(executor, "connect");
    scope.spawn(connect_many(address, streams));
    co_await async::sleep(50ms);
    CHECK(streams.size() < 6);
    std::vector<net::Stream> accepted;
    for (int i = 0; i < 6; ++i) accepted.push_back(co_await listener.accept());
    co_await scope.join();
    CHECK(streams.size() == 6);
    co_await streams.back().write("x");
  }());
}
