#include "envd/users.h"

#include <catch2/catch.hpp>

#include "core/base/codec.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::envd;

TEST_CASE("the user stands in the Basic field", "[envd]") {
  CHECK(basic_user("Basic " + base64_encode("root:")) == "root");
  CHECK(basic_user("bASIC " + base64_encode("ann:secret:x")) == "ann");
  CHECK(basic_user("Basic " + base64_encode("ann")) == "ann");
  CHECK_FALSE(basic_user("Basic " + base64_encode(":")).has_value());
  CHECK_FALSE(basic_user(std::nullopt).has_value());
  for (const char* bad : {"", "Basic", "Bearer abc", "Basic %%%", "Basicabc"})
    CHECK_THROWS_AS(basic_user(bad), Error);
}

TEST_CASE("an unknown user has the protocol's text", "[envd]") {
  CHECK(find_user("root").uid == 0);
  CHECK_THROWS_WITH(find_user("no-such-user"), "invalid username: 'no-such-user'");
  CHECK_THROWS_AS(find_user(std::string(10'000, 'x')), Error);
  CHECK_THROWS_AS(find_user(""), Error);
}
