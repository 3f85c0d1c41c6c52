#include "cp/handlers/held_output.h"

#include <catch2/catch.hpp>
#include <optional>

using namespace wrenn;
using cp::handlers::HeldOutput;

TEST_CASE("output is held up to what all may hold, and up to what a team may") {
  HeldOutput all(100, 60);
  const auto one = model::TeamId::random(), other = model::TeamId::random();
  std::optional<HeldOutput::Share> first, second, third;
  first.emplace(all, one);
  second.emplace(all, one);
  third.emplace(all, other);
  CHECK(first->take(0));
  CHECK(first->take(40));
  CHECK_FALSE(second->take(21));  // the team's share
  CHECK(second->take(20));
  CHECK_FALSE(first->take(1));
  CHECK_FALSE(third->take(41));  // all of it, though the team has room
  CHECK(third->take(40));
  CHECK(all.bytes() == 100);
  CHECK(third->take(0));
  CHECK_FALSE(third->take(1));

  first.reset();
  CHECK(all.bytes() == 60);
  CHECK(second->take(40));
  CHECK_FALSE(second->take(1));
  second.reset();
  third.reset();
  CHECK(all.bytes() == 0);
  first.emplace(all, one);
  CHECK_FALSE(first->take(61));
  CHECK(first->take(60));
}
