#include "core/log/redaction.h"

#include <catch2/catch.hpp>

using wrenn::log::redacted;

static std::string shown(std::string_view text) {
  return redacted(text).value_or(std::string(text));
}

TEST_CASE("secrets in texts of the log are not shown") {
  const std::string digits = "0123456789abcdef0123456789abcdef";
  CHECK(shown("key wrn_" + digits + " is old") == "key wrn_*** is old");
  CHECK(shown("e2b_" + digits + "01234567") == "e2b_***");
  CHECK(shown("/a?token=abc&x=1&code=d%20e&state=f") == "/a?token=***&x=1&code=***&state=***");
  CHECK(shown("access_token=abc, password='x y' z") == "access_token=***, password=*** z");
  CHECK(shown("secret=\"torn") == "secret=***");
  CHECK(shown("PGPASSWORD=abc psql") == "PGPASSWORD=*** psql");
  CHECK(shown("https://h/?api_key=abc#x") == "https://h/?api_key=***");
  CHECK(shown("postgres://wrenn:p:a@ss@host:5432/db?x=1") == "postgres://wrenn:***@host:5432/db?x=1");
  CHECK(shown("redis://:pass@host/0") == "redis://:***@host/0");
  CHECK(shown("Authorization: Bearer abc.def-ghi") == "Authorization: Bearer ***");
  CHECK(shown("two: Basic YTpi and Bearer xyz") == "two: Basic *** and Bearer ***");
}

TEST_CASE("everything else is shown as it is") {
  for (const std::string_view text :
       {"", "/v1/capsules/cl-0123456789abcdefghijklmno", "exit code=1", "state=running", "wrn_", "wrn_0123",
        "http://127.0.0.1:8080/a:b@c", "2026-05-19T14:23:01Z", "a: b = c", "unix:/run/agent.sock", "=", ":",
        "token=", "Bearer ", "tcp://host:80", "cannot connect: connection to server at \"::1\", port 5432"})
    CHECK_FALSE(redacted(text));
}
