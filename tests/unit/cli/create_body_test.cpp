#include <catch2/catch.hpp>

#include "cli/capsules.h"

using namespace wrenn::cli;

TEST_CASE("a create says only what was asked for") {
  CreateOptions options;
  CHECK(create_body(options) == R"({"timeout_sec":0})");
  options = {"mine", 2, 256, 60, "cold"};
  CHECK(create_body(options) ==
        R"({"template":"mine","vcpus":2,"memory_mb":256,"timeout_sec":60,"boot":"cold"})");
}
