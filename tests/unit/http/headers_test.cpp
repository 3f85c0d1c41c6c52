#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/http/headers.h"
#include "core/http/message.h"

using wrenn::Error;
using wrenn::http::Headers;
using wrenn::http::Request;

TEST_CASE("header names compare without case") {
  Headers headers{{"Content-Type", "a"}, {"X", "1"}, {"x", "2"}};
  CHECK(headers.get("content-type") == "a");
  CHECK(headers.get("CONTENT-TYPE") == "a");
  CHECK_FALSE(headers.get("Content-Typ"));
  CHECK(headers.all("X") == std::vector<std::string_view>{"1", "2"});
  headers.set("X", "3");
  CHECK(headers.all("x") == std::vector<std::string_view>{"3"});
  headers.remove("x");
  CHECK_FALSE(headers.has("X"));
  CHECK(headers.fields().size() == 1);
}

TEST_CASE("set may be given a part of the field it replaces") {
  Headers headers{{"X", "one two"}};
  headers.set(headers.fields().front().first, headers.get("X")->substr(4));
  CHECK(headers.get("X") == "two");
}

TEST_CASE("tokens of a list field") {
  const Headers headers{{"Connection", "keep-alive, Upgrade"}, {"connection", " foo ,bar"}};
  CHECK(headers.has_token("Connection", "upgrade"));
  CHECK(headers.has_token("Connection", "keep-alive"));
  CHECK(headers.has_token("Connection", "foo"));
  CHECK(headers.has_token("Connection", "bar"));
  CHECK_FALSE(headers.has_token("Connection", "keep"));
  CHECK_FALSE(headers.has_token("Connection", "grade"));
  CHECK_FALSE(headers.has_token("Upgrade", "upgrade"));
}

TEST_CASE("nothing can be smuggled into a head") {
  Headers headers;
  for (const char* value : {"a\r\nSet-Cookie: x", "a\nb", "a\rb", "\x01", "a\x7f"}) {
    CHECK_THROWS_AS(headers.add("X", value), Error);
    CHECK_THROWS_AS(headers.set("X", value), Error);
  }
  CHECK_THROWS_AS(headers.add("X", std::string_view("a\0b", 3)), Error);
  for (const char* name : {"", "a b", "a:", "a\r\n", "\xc3\xbc", "a\x01", "(a)"})
    CHECK_THROWS_AS(headers.add(name, "x"), Error);
  CHECK_THROWS_AS(Headers({{"X", "a\r\nb"}}), Error);
  CHECK(headers.fields().empty());
  headers.add("X", "  a\tb  ");
  CHECK(headers.get("X") == "a\tb");
}

TEST_CASE("query values") {
  Request request;
  request.query = "a=1&b=x%20y+z&empty=&flag&a=2&bad=%zz&%61bc=q&=nameless";
  CHECK(request.query_value("a") == "1");
  CHECK(request.query_value("b") == "x y z");
  CHECK(request.query_value("empty") == "");
  CHECK(request.query_value("flag") == "");
  CHECK(request.query_value("abc") == "q");
  CHECK_FALSE(request.query_value("bad"));
  CHECK_FALSE(request.query_value("c"));
  request.query = "";
  CHECK_FALSE(request.query_value("a"));
}

TEST_CASE("whole answers") {
  const auto json = wrenn::http::json_response(201, "{}");
  CHECK(json.status == 201);
  CHECK(json.body == "{}\n");
  CHECK(json.headers.get("Content-Type") == "application/json");
  CHECK(wrenn::http::reason_phrase(404) == "Not Found");
  CHECK_FALSE(wrenn::http::reason_phrase(799).empty());
}
