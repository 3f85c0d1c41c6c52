#include "envd/process/environment.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "envd/defaults.h"

using namespace wrenn;
using namespace wrenn::envd;

TEST_CASE("the environment has an order, and later values win", "[envd]") {
  User user;
  user.name = "ann";
  user.home = "/home/ann";
  const auto env = process::environment("/bin", user, {{"A", "1"}, {"B", "2"}, {"HOME", "/d"}},
                                        {{"B", "3"}, {"USER", "x"}});
  const std::vector<std::string> expected = {"PATH=/bin", "HOME=/d", "USER=x", "LOGNAME=ann", "A=1", "B=3"};
  CHECK(env == expected);
}

TEST_CASE("a name that begins like another is another", "[envd]") {
  User user;
  const auto env = process::environment("/bin", user, {{"PAT", "1"}}, {{"PATHS", "2"}});
  CHECK(env[0] == "PATH=/bin");
  CHECK(env.size() == 6);
}

TEST_CASE("variables that cannot exist are refused", "[envd]") {
  CHECK_NOTHROW(check_env({{"A", ""}, {"with space", "x"}}));
  CHECK_THROWS_AS(check_env({{"", "x"}}), Error);
  CHECK_THROWS_AS(check_env({{"A=B", "x"}}), Error);
  CHECK_THROWS_AS(check_env({{std::string("A\0", 2), "x"}}), Error);
  CHECK_THROWS_AS(check_env({{"A", std::string("x\0", 2)}}), Error);
}
