#include <catch2/catch.hpp>

#include "api/accounts.h"
#include "api/errors.h"
#include "core/async/loop.h"
#include "core/async/task.h"
#include "cp/request.h"

using namespace wrenn;
using namespace std::chrono_literals;

namespace {

// A piece, then nothing for a long time.
class HeldBack final : public http::Body {
 public:
  async::Task<std::size_t> read_some(std::span<char> buffer) override {
    if (std::exchange(given_, true)) co_await async::sleep(1h);
    buffer[0] = '{';
    co_return 1;
  }
  std::optional<std::uint64_t> remaining() const noexcept override { return given_ ? 1 : 2; }

 private:
  bool given_ = false;
};

async::Task<> held_back() {
  HeldBack body;
  http::Request request;
  request.body = &body;
  int status = 0;
  try {
    (void)co_await cp::read_body(request, 100, 20ms);
  } catch (const api::PublicError& error) {
    status = error.status();
  }
  CHECK(status == 408);
}

async::Task<> whole() {
  http::StringBody body("{}");
  http::Request request;
  request.body = &body;
  CHECK(co_await cp::read_body(request, 100, 1min) == "{}");
}

}  // namespace

TEST_CASE("a body that was read is there for everybody who asks") {
  cp::WholeBody body(R"({"name":"n"})");
  http::Request request;
  request.body = &body;
  CHECK(cp::read_json<api::NameOnly>(request).name == "n");
  CHECK(cp::read_json<api::NameOnly>(request).name == "n");
  CHECK(cp::body_of(request) == R"({"name":"n"})");

  cp::WholeBody blank(" \n");
  request.body = &blank;
  CHECK(cp::read_json<api::NameOnly>(request).name.empty());
}

TEST_CASE("a body that was read can be read like any other") {
  async::run_loop("test", []() -> async::Task<> {
    cp::WholeBody body("abcde");
    CHECK(body.remaining() == 5);
    char space[4];
    CHECK(co_await body.read_some(space) == 4);
    CHECK(body.remaining() == 1);
    CHECK(co_await body.read_all(1) == "e");
    CHECK(co_await body.read_some(space) == 0);
  });
}

TEST_CASE("a body that is held back is not waited for") {
  async::run_loop("test", held_back);
  async::run_loop("test", whole);
}
