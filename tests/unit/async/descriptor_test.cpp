#include "core/async/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/async/scope.h"
#include "core/base/error.h"
#include "coroutine_test.h"

using namespace std::chrono_literals;
using wrenn::async::Descriptor;
using wrenn::async::Scope;
using wrenn::async::Task;
using wrenn::test::run;

namespace async = wrenn::async;

namespace {

Task<> write_then_close(Descriptor& out, std::string data) {
  co_await out.write_all(data);
  out.close();
}

Task<> wait_flag(Descriptor& in, bool& readable) {
  co_await in.wait_readable();
  readable = true;
}

}  // namespace

TEST_CASE("a pipe on the loop carries more than it holds") {
  run([]() -> Task<> {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    const auto executor = co_await asio::this_coro::executor;
    Descriptor in(executor, fds[0]);
    Descriptor out(executor, fds[1]);
    bool readable = false;
    Scope scope(executor, "test");
    scope.spawn(wait_flag(in, readable));
    co_await async::sleep(5ms);
    CHECK_FALSE(readable);
    const std::string data(1 << 20, 'x');
    scope.spawn(write_then_close(out, data));
    std::string received;
    std::vector<char> buffer(10'000);
    for (;;) {
      const std::size_t got = co_await in.read_some(buffer);
      if (got == 0) break;
      received.append(buffer.data(), got);
    }
    co_await scope.join();
    CHECK(readable);
    CHECK(received == data);
  }());
}

TEST_CASE("a reader that is gone is EPIPE, a bad descriptor an error") {
  ::signal(SIGPIPE, SIG_IGN);
  run([]() -> Task<> {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    const auto executor = co_await asio::this_coro::executor;
    Descriptor out(executor, fds[1]);
    ::close(fds[0]);
    int reason = 0;
    try {
      co_await out.write_all("x");
    } catch (const wrenn::SystemError& error) {
      reason = error.errno_value();
    }
    CHECK(reason == EPIPE);
    CHECK_THROWS_AS(Descriptor(executor, -1), wrenn::SystemError);
  }());
}

TEST_CASE("a read that waits can be cancelled") {
  run([]() -> Task<> {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    const auto executor = co_await asio::this_coro::executor;
    Descriptor in(executor, fds[0]);
    Descriptor out(executor, fds[1]);
    char byte;
    const std::span<char> space(&byte, 1);
    const auto read = [](Descriptor& from, std::span<char> into) -> Task<> { co_await from.read_some(into); };
    CHECK(co_await async::first_of(read(in, space), async::sleep(5ms)) == 1);
    co_await out.write_all("y");
    CHECK(co_await in.read_some(space) == 1);
    CHECK(byte == 'y');
  }());
}
