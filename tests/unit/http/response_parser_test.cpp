#include <catch2/catch.hpp>

#include "core/http/parser.h"

using wrenn::http::FieldReader;
using wrenn::http::Framing;
using wrenn::http::ResponseHead;
using wrenn::http::ResponseParser;

namespace {

using Kind = Framing::Kind;
using Result = FieldReader::Result;

struct Good {
  std::string bytes;
  int status;
  std::string reason;
  Framing framing;  // of an answer to GET
  bool keep_alive = true;
};

const Good kGood[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "OK", {Kind::sized, 5}},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "OK", {}},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "OK", {Kind::chunked, 0}},
    {"HTTP/1.1 200 OK\r\n\r\n", 200, "OK", {Kind::until_close, 0}},
    {"HTTP/1.1 200 \r\n\r\n", 200, "", {Kind::until_close, 0}},
    {"HTTP/1.1 200\r\n\r\n", 200, "", {Kind::until_close, 0}},
    {"HTTP/1.1 404 Not  Found at all\r\nContent-Length: 1\r\n\r\n",
     404,
     "Not  Found at all",
     {Kind::sized, 1}},
    {"HTTP/1.1 999 ?\r\nContent-Length: 1\r\n\r\n", 999, "?", {Kind::sized, 1}},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "No Content", {}},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 304, "Not Modified", {}},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
     101,
     "Switching Protocols",
     {}},
    {"HTTP/1.1 100 Continue\r\n\r\n", 100, "Continue", {}},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", 200, "OK", {Kind::sized, 1}, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, "OK", {Kind::sized, 1}, false},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
     200,
     "OK",
     {Kind::sized, 1},
     true},
    {"HTTP/1.1 200 \xc3\xbc\r\nContent-Length: 1\r\n\r\n", 200, "\xc3\xbc", {Kind::sized, 1}},
};

const std::string kBad[] = {
    "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 -20 OK\r\n\r\n",
    "HTTP/1.1 200OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 O\rK\r\n\r\n",
    "HTTP/1.1 200 OK\n\n",
    "HTTP/1.1 200 OK\r\nX: a\n\r\n",
    "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a\x01\r\n\r\n",
};

}  // namespace

TEST_CASE("valid answers are understood") {
  for (const Good& row : kGood) {
    INFO(row.bytes);
    ResponseParser parser;
    ResponseHead head;
    const std::string bytes = row.bytes + "BODY";
    Result result = Result::more;
    std::size_t size = 0;
    for (; result == Result::more && size <= bytes.size(); ++size)
      result = parser.parse(std::string_view(bytes).substr(0, size), head);
    REQUIRE(result == Result::done);
    CHECK(size - 1 == row.bytes.size());
    CHECK(parser.size() == row.bytes.size());
    CHECK(head.status == row.status);
    CHECK(head.reason == row.reason);
    CHECK(parser.framing("GET", head.status) == row.framing);
    CHECK(parser.framing("HEAD", head.status) == Framing{});
    CHECK(parser.keep_alive() == row.keep_alive);
  }
}

TEST_CASE("answers that break HTTP are refused") {
  for (const std::string& bytes : kBad) {
    INFO(bytes);
    ResponseParser parser;
    ResponseHead head;
    CHECK(parser.parse(bytes, head) == Result::refused);
    CHECK_FALSE(parser.refusal().reason.empty());
  }
}

TEST_CASE("an answer's head has limits too") {
  ResponseParser parser;
  ResponseHead head;
  CHECK(parser.parse("HTTP/1.1 200 " + std::string(70'000, 'x'), head) == Result::refused);
  parser.reset();
  head = {};
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 129; ++i) many += "X: 1\r\n";
  CHECK(parser.parse(many, head) == Result::refused);
}
