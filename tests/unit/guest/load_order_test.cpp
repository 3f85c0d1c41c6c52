#include "guest/load_order.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using wrenn::guest::parse_load_order;

TEST_CASE("names come in the order of the file, without blank lines and comments") {
  const std::vector<std::string> expected{"b.ko", "a.ko"};
  CHECK(parse_load_order("# dependencies first\nb.ko\n\na.ko\n") == expected);
  CHECK(parse_load_order("b.ko\na.ko") == expected);
  CHECK(parse_load_order("").empty());
}

TEST_CASE("a path in the list is refused") {
  CHECK_THROWS_AS(parse_load_order("a.ko\n../../etc/shadow\n"), wrenn::Error);
}
