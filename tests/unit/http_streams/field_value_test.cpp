#include "core/http/field_value.h"

#include <catch2/catch.hpp>

using namespace wrenn::http;

TEST_CASE("field values with parameters", "[field_value]") {
  const auto value = parse_field_value(" Text/HTML ; Charset=utf-8; q=\"a;\\\"b\\\\c\\d\"; ;empty=\"\" ");
  REQUIRE(value.has_value());
  CHECK(value->value == "text/html");
  REQUIRE(value->parameters.size() == 3);
  CHECK(*value->find("charset") == "utf-8");
  CHECK(*value->find("q") == "a;\"b\\c\\d");
  CHECK(value->find("empty")->empty());
  CHECK(value->find("nothing") == nullptr);
  CHECK(parse_field_value("a/b;")->parameters.empty());
}

TEST_CASE("malformed field values are absent", "[field_value]") {
  for (const auto* bad : {"", " ", ";", "a b", "a;b", "a;=c", "a;b=", "a;b=\"c", "a;b=\"c\\\"", "a;b=c;B=d",
                          "a;b =c", "a;b= c", "a;b=\"c\"d", "a;b=c d", "a\x01", "a;b=\"\x7f\"", "\"a\""}) {
    INFO(bad);
    CHECK_FALSE(parse_field_value(bad).has_value());
  }
}

TEST_CASE("extended parameters are UTF-8, percent-encoded (RFC 8187)", "[field_value]") {
  CHECK(decode_extended("UTF-8''%e2%82%ac%20rates") == "€ rates");
  CHECK(decode_extended("utf-8'de'x") == "x");
  for (const auto* bad :
       {"", "x", "UTF-8", "UTF-8'x", "iso-8859-1''x", "UTF-8''%", "UTF-8''%zz", "UTF-8''%ff"}) {
    INFO(bad);
    CHECK_FALSE(decode_extended(bad).has_value());
  }
}
