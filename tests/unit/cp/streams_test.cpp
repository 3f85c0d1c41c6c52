#include <catch2/catch.hpp>
#include <random>

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "cp/handlers/exit_signal.h"
#include "cp/handlers/pty_input.h"
#include "cp/handlers/utf8_carry.h"

using namespace wrenn;
using namespace wrenn::cp::handlers;

TEST_CASE("text cut anywhere comes out whole") {
  const std::string text = "aé€😀z\n日本語";
  for (std::size_t at = 0; at <= text.size(); ++at)
    for (std::size_t then = at; then <= text.size(); ++then) {
      Utf8Carry carry;
      std::string out;
      for (const auto& piece : {text.substr(0, at), text.substr(at, then - at), text.substr(then)}) {
        const auto taken = carry.take(piece);
        CHECK(is_valid_utf8(taken));
        out += taken;
      }
      CHECK(out == text);
      CHECK(carry.rest().empty());
    }
}

TEST_CASE("bytes that are no text are not held back, and an unfinished end is told") {
  Utf8Carry carry;
  CHECK(carry.take("a\xff"
                   "b") ==
        "a\xff"
        "b");
  CHECK(carry.take("x\xe2\x82") == "x");
  CHECK(carry.take("y") == "\xe2\x82y");
  CHECK(carry.take("\xf0\x9f") == "");
  CHECK(carry.rest() == "\xf0\x9f");
  CHECK(carry.rest().empty());
}

TEST_CASE("random bytes: nothing is lost and at most three are kept") {
  std::mt19937 random(Catch::rngSeed());
  INFO("seed " << Catch::rngSeed());
  for (int round = 0; round < 200; ++round) {
    Utf8Carry carry;
    std::string in, out;
    for (int piece = 0; piece < 20; ++piece) {
      std::string bytes(random() % 5, '\0');
      for (auto& byte : bytes) byte = static_cast<char>(random());
      in += bytes;
      out += carry.take(bytes);
      CHECK(in.size() - out.size() <= 3);
    }
    out += carry.rest();
    CHECK(in == out);
  }
}

TEST_CASE("the signal of an end status") {
  CHECK(signal_of_status("signal: killed") == 9);
  CHECK(signal_of_status("signal: terminated") == 15);
  CHECK(signal_of_status("signal: segmentation fault (core dumped)") == 11);
  CHECK(signal_of_status("signal: signal 34") == 34);
  for (const auto* status : {"", "exit status 9", "signal: ", "signal: signal x", "signal: signal 0",
                             "signal: signal 4000", "signal: bored", "killed"})
    CHECK_FALSE(signal_of_status(status).has_value());
}

// --- PtyQueue
// -------------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kJoinedMax = 8;

std::string name_of(const PtyCommand& command) {
  if (const auto* input = std::get_if<PtyInput>(&command)) return "in:" + input->bytes;
  if (const auto* size = std::get_if<api::envd::PtySize>(&command))
    return fmt::format("{}x{}", size->cols, size->rows);
  return "kill";
}
PtyCommand size_of(std::uint32_t cols, std::uint32_t rows) {
  api::envd::PtySize size;
  size.cols = cols;
  size.rows = rows;
  return size;
}

async::Task<> push_all(PtyQueue& queue, std::vector<PtyCommand> commands) {
  for (auto& command : commands) co_await queue.push(std::move(command));
  queue.close();
}

async::Task<> pop_all(PtyQueue& queue, std::vector<std::string>& calls) {
  while (const auto command = co_await queue.next()) calls.push_back(name_of(*command));
}

async::Task<> run_queue(std::size_t capacity, std::vector<PtyCommand> commands,
                        std::vector<std::string>& calls) {
  const auto executor = co_await asio::this_coro::executor;
  PtyQueue queue(executor, capacity, kJoinedMax);
  auto pushing = push_all(queue, std::move(commands));
  auto popping = pop_all(queue, calls);
  co_await async::both(std::move(pushing), std::move(popping));
}

std::vector<std::string> calls_of(std::vector<PtyCommand> commands, std::size_t capacity = 64) {
  std::vector<std::string> calls;
  async::run_loop("test", [&] { return run_queue(capacity, commands, calls); });
  return calls;
}

}  // namespace

TEST_CASE("keystrokes are joined; what ends a run of them comes next") {
  CHECK(calls_of({PtyInput{"a"}, PtyInput{"b"}, size_of(80, 24), PtyInput{"c"}, PtyInput{"d"}, PtyKill{}}) ==
        std::vector<std::string>{"in:ab", "80x24", "in:cd", "kill"});
  CHECK(calls_of({PtyKill{}}) == std::vector<std::string>{"kill"});
  CHECK(calls_of({}).empty());
  CHECK(calls_of({size_of(1, 2), size_of(3, 4)}) == std::vector<std::string>{"1x2", "3x4"});
}

TEST_CASE("joined input has a limit; a larger single one passes") {
  CHECK(calls_of({PtyInput{"12345"}, PtyInput{"678"}, PtyInput{"9"}, PtyInput{std::string(20, 'x')}}) ==
        std::vector<std::string>{"in:12345678", "in:9", "in:" + std::string(20, 'x')});
}

TEST_CASE("any sequence, any queue length: order and bytes are kept") {
  std::mt19937 random(Catch::rngSeed());
  INFO("seed " << Catch::rngSeed());
  for (int round = 0; round < 200; ++round) {
    std::vector<PtyCommand> commands;
    std::string expected;
    for (std::size_t i = random() % 40; i > 0; --i) {
      switch (random() % 4) {
        case 0:
          commands.emplace_back(size_of(1 + random() % 200, 5));
          expected += "|" + name_of(commands.back()) + "|";
          break;
        case 1:
          commands.emplace_back(PtyKill{});
          expected += "|kill|";
          break;
        default:
          commands.emplace_back(
              PtyInput{std::string(1 + random() % 4, static_cast<char>('a' + random() % 26))});
          expected += std::get<PtyInput>(commands.back()).bytes;
      }
    }
    std::string got;
    for (const auto& call : calls_of(commands, 1 + random() % 10))
      got += call.starts_with("in:") ? call.substr(3) : "|" + call + "|";
    CHECK(got == expected);
  }
}
