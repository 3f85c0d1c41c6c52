#include "core/http/multipart.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "run_task.h"

using namespace wrenn;
using namespace wrenn::http;
using async::Task;
using Catch::Contains;

namespace {

constexpr const char* kType = "multipart/form-data; boundary=XyZ";

struct Got {
  std::string name;
  std::optional<std::string> filename;
  std::string content;
  bool operator==(const Got&) const = default;
};

enum class How { all, some, skip };

Task<std::vector<Got>> read_parts(Body& body, std::string type, How how, std::size_t step) {
  Multipart form(body, type);
  std::vector<Got> out;
  std::string buffer(step, '\0');
  while (auto part = co_await form.next()) {
    Got got{part->name, part->filename, {}};
    if (how == How::all) got.content = co_await form.read_all(1 << 24);
    while (how == How::some) {
      const auto count = co_await form.read_some(buffer);
      if (count == 0) break;
      got.content.append(buffer, 0, count);
    }
    out.push_back(std::move(got));
  }
  CHECK_FALSE((co_await form.next()).has_value());  // stays at the end
  co_return out;
}

std::vector<Got> parse(std::vector<std::string> pieces, std::string type = kType, How how = How::all,
                       std::size_t step = 4096) {
  test::PiecesBody body(std::move(pieces));
  return test::run(read_parts(body, std::move(type), how, step));
}

std::string part(const std::string& disposition, const std::string& content) {
  return "--XyZ\r\nContent-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n";
}

std::string error_of(const std::string& body, const std::string& type = kType) {
  try {
    parse({body}, type);
  } catch (const Error& error) {
    CHECK((error.code() == ErrorCode::invalid_argument || error.code() == ErrorCode::too_large));
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("parts come with name, file name, fields and content", "[multipart]") {
  const auto body = part("form-data; name=\"a\"", "1") +
                    "--XyZ\r\ncontent-type: text/plain\r\nCONTENT-DISPOSITION: Form-Data; NAME=b; "
                    "filename=\"/x/y z\"\r\n\r\n" +
                    "line\r\n--Xy\r\n-XyZ\r\n--XyZ" + "plus\r\n" + "--XyZ--\r\n";
  const auto parts = parse({body});
  REQUIRE(parts.size() == 2);
  CHECK(parts[0] == Got{"a", std::nullopt, "1"});
  // A line that only begins like the boundary is content.
  CHECK(parts[1] == Got{"b", "/x/y z", "line\r\n--Xy\r\n-XyZ\r\n--XyZplus"});
}

TEST_CASE("preamble, epilogue, padding and empty parts", "[multipart]") {
  const auto one = part("form-data; name=a", "x");
  CHECK(parse({one + "--XyZ--"}).size() == 1);
  CHECK(parse({"this is\r\nignored\r\n" + one + "--XyZ--\r\nand\r\nthis too"}).size() == 1);
  CHECK(parse({"\r\n" + one + "--XyZ--\r\n"}).size() == 1);
  CHECK(parse({"--XyZ \t \r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--XyZ-- \r\n"})[0].content ==
        "x");
  CHECK(parse({"--XyZ--\r\n"}).empty());
  CHECK(parse({part("form-data; name=a", "") + "--XyZ--"})[0].content.empty());
  // No content at all: the line break that ends the head begins the delimiter (RFC 2046 §5.1.1).
  CHECK(parse({"--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n--XyZ--"})[0].content.empty());
  CHECK(parse({part("form-data; name=a", "\r\n") + "--XyZ--"})[0].content == "\r\n");
}

TEST_CASE("names and file names in every spelling", "[multipart]") {
  struct Row {
    std::string disposition, name;
    std::optional<std::string> filename;
  };
  const auto row = GENERATE(values<Row>({
      {"form-data; name=\"a%22b\"", "a\"b", std::nullopt},
      {"form-data; name=\"a\\\"b\"", "a\"b", std::nullopt},
      {"form-data; name=\"a;b=c\"; filename=\"x;y\"", "a;b=c", "x;y"},
      {"form-data; name=\"n\"; filename=\"C:\\dir\\file\"", "n", "C:\\dir\\file"},
      {"form-data; name=\"n\"; filename=\"a\\\\b\"", "n", "a\\b"},
      {"form-data; name=\"n\"; filename=\"%0D%0A%41\"", "n", "\r\n%41"},
      {"form-data; name=\"\"; filename=\"\"", "", ""},
      {"form-data;name=n;filename=plain.txt;", "n", "plain.txt"},
      {"form-data; name=n; filename=\"naïve €\"", "n", "naïve €"},
      {"form-data; name=n; filename*=UTF-8''na%C3%AFve%20%22", "n", "naïve \""},
      {"form-data; name=n; filename=\"fallback\"; filename*=utf-8'en'real", "n", "real"},
  }));
  INFO(row.disposition);
  const auto parts = parse({part(row.disposition, "x") + "--XyZ--"});
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].name == row.name);
  CHECK(parts[0].filename == row.filename);
}

TEST_CASE("what is no form data is refused", "[multipart]") {
  const auto good = part("form-data; name=a", "x");
  const auto bad = GENERATE_COPY(values<std::string>({
      "",
      "XyZ",
      "--XyZ",
      "--XyZ\r\n",
      "--XyZ-",
      "--XyZ-x\r\n",
      good,
      good + "--XyZ",
      good + "--XyZ-",
      good + "--Xy",
      good + "--XyZ\r\n",
      good + "--XyZ\r\nContent-Disposition: form-data; name=b",
      good + "--XyZ \rx\r\n",
      part("form-data; name=a", "--XyZ-no") + "--XyZ--",
      "--XyZ\nContent-Disposition: form-data; name=a\n\nx\n--XyZ--",
      "--XyZ\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nno field\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition : form-data; name=a\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data; name=a\r\nX: \x01\r\n\r\nx\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
      "name=b\r\n\r\nx\r\n--XyZ--",
      part("attachment; name=a", "x") + "--XyZ--",
      part("form-data", "x") + "--XyZ--",
      part("form-data; filename=a", "x") + "--XyZ--",
      part("form-data; name=a; name=b", "x") + "--XyZ--",
      part("form-data; name=\"a", "x") + "--XyZ--",
      part("form-data; name=\"a\\\"", "x") + "--XyZ--",
      part("form-data; name=\"a\"b", "x") + "--XyZ--",
      part("form-data; name", "x") + "--XyZ--",
      part("form-data; name=a; filename*=latin1''x", "x") + "--XyZ--",
      part("form-data; name=a; filename*=UTF-8''%FF", "x") + "--XyZ--",
      part("form-data; name=a; filename*=UTF-8''a%00b", "x") + "--XyZ--",
      part("form-data; name=a; filename*=UTF-8''%4", "x") + "--XyZ--",
  }));
  INFO(bad);
  CHECK_THAT(error_of(bad), Contains("multipart body: "));
}

TEST_CASE("the content type needs a boundary", "[multipart]") {
  for (const auto* bad : {"", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x",
                          "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
                          "multipart/form-data; boundary=\"x \"", "multipart/form-data; boundary=\"x{}\"",
                          "multipart/form-data; boundary=a; boundary=b",
                          "multipart/form-data; boundary="
                          "12345678901234567890123456789012345678901234567890123456789012345678901"}) {
    INFO(bad);
    CHECK_THAT(error_of("--x--", bad), Contains("multipart/form-data"));
  }
  CHECK(parse({"--a b--"}, "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"").empty());
  CHECK(parse({"--(a/b:c=d?)--"}, "multipart/form-data;boundary=(a/b:c=d?)").empty());
}

TEST_CASE("every cut of a body gives the same parts", "[multipart]") {
  const auto body =
      "pre\r\n" + part("form-data; name=a; filename=\"f\"", "one\r\n--XyQ\r\n\r\n--XyZ_\r\r\n") +
      part("form-data; name=b", "") + part("form-data; name=c", "\r\n--XyZz") + "--XyZ--\r\nepilogue";
  const auto whole = parse({body});
  REQUIRE(whole.size() == 3);
  CHECK(whole[0].content == "one\r\n--XyQ\r\n\r\n--XyZ_\r\r\n");
  CHECK(whole[2].content == "\r\n--XyZz");
  for (std::size_t at = 0; at <= body.size(); ++at) {
    INFO(at);
    REQUIRE(parse(test::cut_at(body, at)) == whole);
    REQUIRE(parse(test::cut_at(body, at), kType, How::some, 1) == whole);
  }
  CHECK(parse(test::byte_by_byte(body)) == whole);
  CHECK(parse(test::byte_by_byte(body), kType, How::some, 3) == whole);
  CHECK(parse(test::byte_by_byte(body), kType, How::skip).size() == 3);
}

TEST_CASE("every truncation before the closing boundary is an error", "[multipart]") {
  const auto body = part("form-data; name=a", "content") + part("form-data; name=b", "more") + "--XyZ--";
  for (std::size_t size = 0; size < body.size(); ++size) {
    INFO(size);
    CHECK_THROWS_AS(parse({body.substr(0, size)}), Error);
    CHECK_THROWS_AS(parse({body.substr(0, size)}, kType, How::skip), Error);
  }
  CHECK_NOTHROW(parse({body}));
}

TEST_CASE("random contents full of near-boundaries survive random cuts", "[multipart]") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::string crumbs[] = {"\r",
                                "\n",
                                "\r\n",
                                "-",
                                "--",
                                "\r\n--",
                                "\r\n--X",
                                "\r\n--Xy",
                                "--XyZ",
                                "XyZ",
                                "\r\n--XyZ_",
                                "text",
                                std::string(1, '\0'),
                                "\r\n\r\n"};
  for (int round = 0; round < 300; ++round) {
    std::string body;
    std::vector<Got> expected;
    for (unsigned p = 1 + random() % 4; p > 0; --p) {
      Got got{fmt::format("n{}", p), "f", {}};
      const auto count = random() % 10 == 0 ? 20'000u : random() % 60;
      for (unsigned i = 0; i < count; ++i) got.content += crumbs[random() % std::size(crumbs)];
      // What would be a boundary may not stand in content: break it.
      if (got.content.starts_with("--XyZ")) got.content.insert(0, "x");
      for (std::size_t at = 0; (at = got.content.find("\r\n--XyZ", at)) != std::string::npos; at += 7) {
        const auto after = at + 7;
        if (after == got.content.size() ||
            std::string_view("-\r \t").find(got.content[after]) != std::string::npos)
          got.content.insert(after, "_");
      }
      body += part(fmt::format("form-data; name={}; filename=f", got.name), got.content);
      expected.push_back(std::move(got));
    }
    body += "--XyZ--\r\n";
    const auto how = round % 2 == 0 ? How::all : How::some;
    REQUIRE(parse(test::cut_at_random(body, random), kType, how, 1 + random() % 300) == expected);
  }
}

TEST_CASE("limits: heads, parts, margins and memory", "[multipart]") {
  const std::string head = "--XyZ\r\nContent-Disposition: form-data; name=a\r\nX: ";
  CHECK_THAT(error_of(head + std::string(limits::kMultipartHeadBytes, 'x') + "\r\n\r\n\r\n--XyZ--"),
             Contains("larger than"));
  CHECK_NOTHROW(parse({head + std::string(limits::kMultipartHeadBytes - 100, 'x') + "\r\n\r\n\r\n--XyZ--"}));
  std::string many;
  for (std::size_t i = 0; i < limits::kMultipartParts; ++i) many += part("form-data; name=a", "");
  CHECK(parse({many + "--XyZ--"}).size() == limits::kMultipartParts);
  CHECK_THAT(error_of(many + part("form-data; name=a", "") + "--XyZ--"), Contains("parts"));
  std::string fields;
  for (int i = 0; i < 200; ++i) fields += "X: y\r\n";
  CHECK_THAT(error_of("--XyZ\r\n" + fields + "\r\n\r\n--XyZ--"), Contains("too many"));
  const std::string megabyte(1 << 20, 'x');
  CHECK_THAT(error_of(megabyte), Contains("before the first boundary"));
  CHECK_THAT(error_of("--XyZ--\r\n" + megabyte), Contains("behind the last boundary"));
  CHECK_THAT(error_of("--XyZ" + std::string(1 << 20, ' ')), Contains("too much space"));
}

static Task<std::string> first_part(Body& body, std::uint64_t limit) {
  const std::string type = kType;
  Multipart form(body, type);
  co_await form.next();
  co_return co_await form.read_all(limit);
}

TEST_CASE("read_all() keeps its limit to the byte", "[multipart]") {
  const auto body = part("form-data; name=a", std::string(100'000, 'x')) + "--XyZ--";
  test::PiecesBody fits({body}), too_much({body});
  CHECK(test::run(first_part(fits, 100'000)).size() == 100'000);
  CHECK_THROWS_AS(test::run(first_part(too_much, 99'999)), Error);
}

TEST_CASE("what the writer writes the reader reads", "[multipart]") {
  const std::string body = multipart_head("b-1", "file", "dir/na\"me\r\n.txt") + "content" +
                           multipart_head("b-1", "other", "") + "more" + multipart_tail("b-1");
  const auto parts = parse({body}, "multipart/form-data; boundary=b-1");
  REQUIRE(parts.size() == 2);
  CHECK(parts[0] == Got{"file", "dir/na\"me\r\n.txt", "content"});
  CHECK(parts[1] == Got{"other", std::nullopt, "more"});
  CHECK_THROWS_AS(multipart_head("b", "n", std::string("a\0b", 3)), Error);
}
