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
  OutputLog log(10, [] {});
  log.append(Channel::standard_output, "far more than ten bytes");
  CHECK(log.room());
  CHECK(log.held_bytes() == 0);
}

TEST_CASE("the slowest subscriber governs, and its leaving makes room", "[envd]") {
  int rooms = 0;
  OutputLog log(4, [&] { ++rooms; });
  const auto fast = log.subscribe([] {});
  const auto slow = log.subscribe([] {});
  log.append(Channel::standard_output, "abcd");
  log.advance(fast);
  CHECK_FALSE(log.room());
  CHECK(log.peek(fast) == nullptr);
  REQUIRE(log.peek(slow) != nullptr);
  CHECK(log.peek(slow)->data == "abcd");
  CHECK(rooms == 0);
  log.unsubscribe(slow);
  CHECK(log.room());
  CHECK(rooms == 1);
  log.unsubscribe(fast);
}

TEST_CASE("a late subscriber sees only what follows", "[envd]") {
  OutputLog log(100, [] {});
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
    OutputLog log(capacity, [&] { ++rooms; });
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
            if (const Chunk* chunk = log.peek(reader.handle)) {
              reader.seen += chunk->data;
              log.advance(reader.handle);
            }
          }
      }
      REQUIRE(log.held_bytes() < capacity + kChunk);
      std::size_t behind = 0;
      for (const auto& reader : readers) {
        REQUIRE(reader->expected.starts_with(reader->seen));
        behind = std::max(behind, reader->expected.size() - reader->seen.size());
      }
      REQUIRE(log.held_bytes() == behind);
      REQUIRE(rooms == was_full - (log.room() ? 0 : 1));  // told exactly once for every time it was full
    }
    log.finish();
    for (const auto& reader : readers) {
      while (const Chunk* chunk = log.peek(reader->handle)) {
        reader->seen += chunk->data;
        log.advance(reader->handle);
      }
      REQUIRE(reader->seen == reader->expected);
      REQUIRE(reader->wakes > 0);
    }
    for (const auto& reader : readers) log.unsubscribe(reader->handle);
    REQUIRE(log.held_bytes() == 0);
  }
}
