#include "envd/files/accept_encoding.h"

#include <catch2/catch.hpp>

using wrenn::envd::files::accepted_codings;

TEST_CASE("how a client wants a file") {
  const struct {
    const char* field;
    bool identity, gzip, prefers_gzip;
  } cases[] = {
      {"", true, false, false},
      {"gzip", true, true, true},
      {"GZIP, deflate, br", true, true, true},
      {"gzip, deflate", true, true, true},
      {"identity", true, false, false},
      {"identity, gzip", true, true, true},
      {"identity;q=1, gzip;q=0.5", true, true, false},
      {"gzip;q=0.8, identity;q=0.801", true, true, false},
      {"gzip; q=0.3", true, true, true},
      {"gzip;q=0", true, false, false},
      {"gzip;q=0.000, *", true, false, false},
      {"*", true, true, true},
      {"*;q=0", false, false, false},
      {"identity;q=0", false, false, false},
      {"identity;q=0, br", false, false, false},
      {"identity;q=0, gzip;q=0.1", false, true, true},
      {"gzip, *;q=0", false, true, true},
      {"br", true, false, false},
      {"gzip;q=2, ,;;,gzip;q=", true, false, false},
      {"gzip;q=1.001", true, false, false},
      {"gzip;q=1.000", true, true, true},
      {"gzip;level=9", true, false, false},
  };
  for (const auto& [field, identity, gzip, prefers_gzip] : cases) {
    CAPTURE(field);
    const auto accepted = accepted_codings(field);
    CHECK(accepted.identity == identity);
    CHECK(accepted.gzip == gzip);
    CHECK(accepted.prefers_gzip == prefers_gzip);
  }
  CHECK_FALSE(accepted_codings(std::nullopt).gzip);
}
