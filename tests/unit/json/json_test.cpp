#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

using namespace wrenn;

namespace {
std::string rewritten(std::string_view text) {
  std::string out;
  json::Writer writer(out);
  writer.value(json::parse(text));
  return out;
}
}  // namespace

TEST_CASE("what is read is written the same") {
  for (const char* text : {"null", "true", "-1", "18446744073709551615", "1.5", R"("a\"b\\c\n\u0001é🦩")", "[]", "{}",
                           R"({"a":[1,2,{"b":null}],"c":""})"})
    CHECK(rewritten(text) == text);
}

TEST_CASE("malformed text is refused with invalid_argument") {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\x80\"", "'a'", "{\"a\":1}x", "\"\\ud800\""}) {
    INFO(text);
    try {
      json::parse(text);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
    }
  }
}

TEST_CASE("nesting has a limit") {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK_NOTHROW(json::parse(nested(limits::kJsonDepth - 2)));
  CHECK_THROWS_AS(json::parse(nested(limits::kJsonDepth + 2)), Error);
  CHECK_THROWS_AS(json::parse(nested(100'000)), Error);
}

TEST_CASE("numbers keep their type and range") {
  CHECK(json::parse("5").as_int64() == 5);
  CHECK(json::parse("5.0").as_int64() == 5);
  CHECK_FALSE(json::parse("5.5").as_int64().has_value());
  CHECK_FALSE(json::parse("1e300").as_int64().has_value());
  CHECK_FALSE(json::parse("18446744073709551615").as_int64().has_value());
  CHECK(json::parse("2").as_double() == 2.0);
  CHECK_FALSE(json::parse("\"5\"").as_int64().has_value());
}

TEST_CASE("members are found, the last of a repeated key") {
  const auto value = json::parse(R"({"a":1,"b":"x","a":2})");
  CHECK(value.find("a")->as_int64() == 2);
  CHECK(value.text_of("b") == "x");
  CHECK(value.text_of("a").empty());
  CHECK(value.find("c") == nullptr);
  CHECK(json::parse("[]").find("a") == nullptr);
}

TEST_CASE("text that is not UTF-8 is written as replacement characters") {
  std::string out;
  json::append_string(out, "a\xFF" "b");
  CHECK(out == "\"a\xEF\xBF\xBD" "b\"");
}

TEST_CASE("a text with too many values is refused before they take memory") {
  const auto array_of = [](std::size_t count) {
    std::string text = "[{}";
    while (--count > 0) text += ",{}";
    return text + "]";
  };
  CHECK(json::parse(array_of(900'000)).as_array()->size() == 900'000);
  CHECK_THROWS_WITH(json::parse(array_of(1'000'000)), Catch::Contains("more than 1000000 values"));
}
