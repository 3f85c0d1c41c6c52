#include "core/async/slices.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <vector>

#include "core/base/error.h"

using namespace wrenn;

TEST_CASE("every part is worked on exactly once, however it is sliced") {
  for (const std::uint64_t count : {0, 1, 7, 8, 100, 1001}) {
    for (const std::uint64_t at_least : {1, 8, 5000}) {
      CAPTURE(count, at_least);
      std::vector<std::atomic<int>> seen(count);
      std::atomic<int> slices = 0;
      async::run_slices(count, {at_least, 3}, [&](std::uint64_t first, std::uint64_t end) {
        ++slices;
        for (std::uint64_t i = first; i < end; ++i) ++seen[i];
      });
      bool once = true;
      for (const auto& times : seen) once = once && times == 1;
      CHECK(once);
      CHECK((slices >= 1 && slices <= 3));
      if (at_least > count) CHECK(slices == 1);
    }
  }
}

TEST_CASE("a slice that fails does not keep the others from their end") {
  std::atomic<int> ended = 0;
  const auto work = [&](std::uint64_t first, std::uint64_t) {
    ++ended;
    if (first == 0) throw Error(ErrorCode::data_loss, "the first");
  };
  CHECK_THROWS_AS(async::run_slices(4, {1, 4}, work), Error);
  CHECK(ended >= 1);
}
