#include "core/json/fields.h"

#include <catch2/catch.hpp>

using namespace wrenn;

namespace {

enum class Color { red, green };
std::string_view to_string(Color color) { return color == Color::red ? "red" : "green"; }
std::optional<Color> from_string(std::string_view text, Color*) {
  if (text == "red") return Color::red;
  if (text == "green") return Color::green;
  return std::nullopt;
}

struct Inner {
  int number = 0;
  static constexpr auto kFields = json::fields(json::field("number", &Inner::number, json::kRequired));
};

struct Outer {
  std::string name = "default";
  std::optional<bool> flag;
  std::vector<Inner> items;
  std::map<std::string, std::string> labels;
  Color color = Color::red;
  json::Bytes data;
  json::Int64Text size;
  std::uint8_t small = 0;
  static constexpr auto kFields = json::fields(
      json::field("name", &Outer::name), json::field("flag", &Outer::flag), json::field("items", &Outer::items),
      json::field("labels", &Outer::labels, json::kOmitEmpty), json::field("color", &Outer::color),
      json::field("data", &Outer::data), json::field("size", &Outer::size), json::field("small", &Outer::small));
};

std::string problem(std::string_view text) {
  try {
    json::from_json<Outer>(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a described struct is read and written") {
  const auto outer = json::from_json<Outer>(
      R"({"name":"n","flag":true,"items":[{"number":1},{"number":2}],"labels":{"a":"b"},"color":"green","data":"AP8=","size":"9007199254740993","small":255,"unknown":[{}]})");
  CHECK(outer.name == "n");
  CHECK(outer.flag == true);
  CHECK(outer.items.at(1).number == 2);
  CHECK(outer.labels.at("a") == "b");
  CHECK(outer.color == Color::green);
  CHECK(outer.data.data == std::string("\0\xff", 2));
  CHECK(outer.size.value == 9007199254740993);
  CHECK(json::to_json(outer) ==
        R"({"name":"n","flag":true,"items":[{"number":1},{"number":2}],"labels":{"a":"b"},"color":"green","data":"AP8=","size":"9007199254740993","small":255})");
}

TEST_CASE("absent and null members keep their defaults, empty ones can be left out") {
  const auto outer = json::from_json<Outer>(R"({"name":null})");
  CHECK(outer.name == "default");
  CHECK(json::to_json(outer) == R"({"name":"default","items":[],"color":"red","data":"","size":"0","small":0})");
}

TEST_CASE("errors name the field by its path") {
  CHECK(problem(R"({"name":5})").find("field name: must be a string") == 0);
  CHECK(problem(R"({"items":[{"number":1},{"number":"x"}]})").find("field items[1].number") == 0);
  CHECK(problem(R"({"items":[{}]})") == "field items[0].number is required");
  CHECK(problem(R"({"labels":{"k":1}})").find("field labels.k") == 0);
  CHECK(problem(R"({"small":256})").find("from 0 to 255") != std::string::npos);
  CHECK(problem(R"({"small":-1})").find("from 0 to 255") != std::string::npos);
  CHECK(problem(R"({"color":"blue"})").find("not \"blue\"") != std::string::npos);
  CHECK(problem(R"({"data":"%"})").find("base64") != std::string::npos);
  CHECK(problem(R"({"flag":"true"})").find("true or false") != std::string::npos);
  CHECK(problem("[]").find("(the whole body): must be an object") != std::string::npos);
}
