#include "envd/process/output_log.h"

#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <vector>

using namespace wrenn::envd::process;

namespace {

struct Reader {
  OutputLog::Handle handle;
  std::string expected;  // what was appended since it subscribed
  std::string seen;
  int wakes = 0;
};

}  // namespace

TEST_CASE("without subscribers output is dropped", "[envd]") {
  OutputLog log(10, 0, [] {});
  log.append(Channel::standard_output, "far more than ten bytes");
  CHECK(log.room());
  CHECK(log.unread_bytes() == 0);
}

TEST_CASE("the slowest subscriber governs, and its leaving makes room", "[envd]") {
  int rooms = 0;
  OutputLog log(4, 0, [&] { ++rooms; });
  const auto fast = log.subscribe([] {});
  const auto slow = log.subscribe([] {});
  log.append(Channel::standard_output, "abcd");
  log.advance(fast);
  CHECK_FALSE(log.room());
  CHECK_FALSE(log.peek(fast));
  REQUIRE(log.peek(slow));
  CHECK(log.peek(slow)->data == "abcd");
  CHECK(rooms == 0);
  log.unsubscribe(slow);
  CHECK(log.room());
  CHECK(rooms == 1);
  log.unsubscribe(fast);
}

TEST_CASE("a late subscriber sees only what follows", "[envd]") {
  OutputLog log(100, 0, [] {});
  const auto first = log.subscribe([] {});
  log.append(Channel::standard_output, "before");
  const auto late = log.subscribe([] {});
  log.append(Channel::standard_error, "after");
  CHECK(log.peek(first)->data == "before");
  CHECK(log.peek(late)->data == "after");
  CHECK(log.peek(late)->channel == Channel::standard_error);
  log.unsubscribe(first);
  log.unsubscribe(late);
}

TEST_CASE("random subscribers and chunks: nobody loses or repeats a byte, and memory is bounded", "[envd]") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t capacity = 1 + random() % 200;
    constexpr std::size_t kChunk = 50;
    int rooms = 0, was_full = 0;
    OutputLog log(capacity, random() % 100, [&] { ++rooms; });
    std::vector<std::unique_ptr<Reader>> readers;
    for (int step = 0; step < 500; ++step) {
      switch (random() % 8) {
        case 0: {
          auto reader = std::make_unique<Reader>();
          reader->handle = log.subscribe([raw = reader.get()] { ++raw->wakes; });
          readers.push_back(std::move(reader));
          break;
        }
        case 1:
          if (!readers.empty()) {
            const auto which = readers.begin() + static_cast<long>(random() % readers.size());
            log.unsubscribe((*which)->handle);
            readers.erase(which);
          }
          break;
        case 2:
        case 3:
        case 4:
          if (log.room()) {
            const std::string data(1 + random() % kChunk, static_cast<char>('a' + random() % 26));
            log.append(Channel::standard_output, data);
            for (const auto& reader : readers) reader->expected += data;
            if (!log.room()) ++was_full;
          }
          break;
        default:
          if (!readers.empty()) {
            Reader& reader = *readers[random() % readers.size()];
            if (const auto piece = log.peek(reader.handle)) {
              reader.seen += piece->data;
              log.advance(reader.handle);
            }
          }
      }
      REQUIRE(log.unread_bytes() < capacity + kChunk);
      REQUIRE(log.held_bytes() < log.unread_bytes() + 100 + kChunk);
      std::size_t behind = 0;
      for (const auto& reader : readers) {
        REQUIRE(reader->expected.starts_with(reader->seen));
        behind = std::max(behind, reader->expected.size() - reader->seen.size());
      }
      REQUIRE(log.unread_bytes() == behind);
      REQUIRE(rooms == was_full - (log.room() ? 0 : 1));  // told exactly once for every time it was full
    }
    log.finish();
    for (const auto& reader : readers) {
      while (const auto piece = log.peek(reader->handle)) {
        reader->seen += piece->data;
        log.advance(reader->handle);
      }
      REQUIRE(reader->seen == reader->expected);
      REQUIRE(reader->wakes > 0);
    }
    for (const auto& reader : readers) log.unsubscribe(reader->handle);
    REQUIRE(log.unread_bytes() == 0);
  }
}

TEST_CASE("who reconnects gets what follows the bytes it has", "[envd]") {
  OutputLog log(1000, 8, [] {});
  for (const char* text : {"abcd", "efgh", "ijkl"}) log.append(Channel::standard_output, text);
  log.append(Channel::standard_error, "mn");
  CHECK(log.end() == 14);
  CHECK(log.oldest() == 8);  // 8 bytes at most, whole chunks
  const auto reader = log.subscribe(9, [] {});
  CHECK(log.peek(reader)->data == "jkl");
  CHECK(log.unread_bytes() == 5);
  log.append(Channel::standard_output, "opqrstuvwxyz");
  CHECK(log.oldest() == 8);  // not dropped while somebody has yet to read it
  log.advance(reader);
  CHECK(log.peek(reader)->data == "mn");
  CHECK(log.peek(reader)->channel == Channel::standard_error);
  log.advance(reader);
  CHECK(log.peek(reader)->data == "opqrstuvwxyz");
  log.advance(reader);
  CHECK_FALSE(log.peek(reader));
  const auto at_end = log.subscribe(log.end(), [] {});
  CHECK_FALSE(log.peek(at_end));
  log.unsubscribe(reader);
  log.unsubscribe(at_end);
}

TEST_CASE("single bytes are bounded in number too", "[envd]") {
  OutputLog log(1 << 20, 1 << 20, [] {});
  for (int i = 0; i < 100'000; ++i) log.append(Channel::standard_output, "x");
  CHECK(log.held_bytes() == wrenn::envd::limits::kReplayChunks);
  const auto reader = log.subscribe([] {});
  while (log.room()) log.append(Channel::standard_output, "x");
  CHECK(log.unread_bytes() <= wrenn::envd::limits::kOutputLogChunks);
  while (log.peek(reader)) log.advance(reader);
  CHECK(log.room());
  log.unsubscribe(reader);
}
