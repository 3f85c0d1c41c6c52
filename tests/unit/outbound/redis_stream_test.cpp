#include "core/outbound/redis_stream.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::outbound;

TEST_CASE("URLs of Redis servers", "[outbound]") {
  struct Good {
    const char* text;
    const char* host;
    int port;
    const char* user;
    const char* password;
    int db;
    const char* shown;
  };
  const Good good[] = {
      {"redis://localhost", "localhost", 6379, "", "", 0, "redis://localhost:6379/0"},
      {"redis://localhost:6380/", "localhost", 6380, "", "", 0, "redis://localhost:6380/0"},
      {"redis://10.0.0.1:1/15", "10.0.0.1", 1, "", "", 15, "redis://10.0.0.1:1/15"},
      {"redis://[::1]", "::1", 6379, "", "", 0, "redis://[::1]:6379/0"},
      {"redis://[::1]:65535/2", "::1", 65535, "", "", 2, "redis://[::1]:65535/2"},
      {"redis://:secret@h", "h", 6379, "", "secret", 0, "redis://h:6379/0"},
      {"redis://me:a%40b%2F%3A@h:7", "h", 7, "me", "a@b/:", 0, "redis://h:7/0"},
      {"redis://me:a@b@h:7", "h", 7, "me", "a@b", 0, "redis://h:7/0"},
      {"redis://me:a:b@h", "h", 6379, "me", "a:b", 0, "redis://h:6379/0"},
  };
  for (const auto& one : good) {
    CAPTURE(one.text);
    const auto url = RedisUrl::parse(one.text);
    CHECK(url.host == one.host);
    CHECK(url.port == one.port);
    CHECK(url.user == one.user);
    CHECK(url.password.reveal() == one.password);
    CHECK(url.db == one.db);
    CHECK(url.text() == one.shown);
  }
  for (const char* text : {"",
                           "localhost",
                           "http://localhost",
                           "rediss://localhost",
                           "redis://",
                           "redis:///0",
                           "redis://h:",
                           "redis://h:0",
                           "redis://h:65536",
                           "redis://h:x",
                           "redis://h/x",
                           "redis://h/-1",
                           "redis://h/1/2",
                           "redis://h/1?x=secret",
                           "redis://[::1",
                           "redis://[::1]x",
                           "redis://[]",
                           "redis://a b",
                           "redis://me@h",
                           "redis://me:secret%@h",
                           "redis://me:secret%zz@h",
                           "redis://:secret@"}) {
    CAPTURE(text);
    try {
      RedisUrl::parse(text);
      FAIL("was taken");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
    }
  }
}

TEST_CASE("ids of entries", "[outbound]") {
  CHECK(StreamId::parse("5-0") == StreamId{5, 0});
  CHECK(StreamId::parse("18446744073709551615-18446744073709551615").value().text() ==
        "18446744073709551615-18446744073709551615");
  CHECK(StreamId{4, 9} < StreamId{5, 0});
  CHECK(StreamId{5, 0} < StreamId{5, 1});
  for (const char* text : {"", "5", "-", "5-", "-5", "5-0-0", "5 -0", "x-0", "18446744073709551616-0"}) {
    CAPTURE(text);
    CHECK_FALSE(StreamId::parse(text));
  }
}
