// The request parser by table: every row is parsed whole, byte by byte and in random pieces, with the same
// outcome.

#include <catch2/catch.hpp>
#include <random>

#include "core/http/parser.h"

using wrenn::http::FieldReader;
using wrenn::http::Framing;
using wrenn::http::HeadLimits;
using wrenn::http::Request;
using wrenn::http::RequestParser;

namespace {

using Result = FieldReader::Result;

struct Outcome {
  Result result = Result::more;
  int status = 0;  // of a refusal
  std::size_t size = 0;
  Request request;
  Framing framing;
  bool keep_alive = false;
  bool expects_continue = false;
};

Outcome finish(const RequestParser& parser, Result result, Request request) {
  Outcome outcome;
  outcome.result = result;
  if (result == Result::refused) outcome.status = parser.refusal().status;
  if (result == Result::done) {
    outcome.size = parser.size();
    outcome.request = std::move(request);
    outcome.framing = parser.framing();
    outcome.keep_alive = parser.keep_alive();
    outcome.expects_continue = parser.expects_continue();
  }
  return outcome;
}

// `cuts` are the sizes at which the parser is asked in between.
Outcome parse(std::string_view bytes, const std::vector<std::size_t>& cuts = {}, HeadLimits limits = {}) {
  RequestParser parser(limits);
  Request request;
  for (const std::size_t cut : cuts) {
    const Result result = parser.parse(bytes.substr(0, cut), request);
    if (result != Result::more) return finish(parser, result, std::move(request));
  }
  return finish(parser, parser.parse(bytes, request), std::move(request));
}

std::vector<std::size_t> every_byte(std::string_view bytes) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 0; i < bytes.size(); ++i) cuts.push_back(i);
  return cuts;
}

using Kind = Framing::Kind;

struct Good {
  std::string name;
  std::string bytes;
  std::string method;
  std::string path;
  std::string query;
  Framing framing;
  bool keep_alive = true;
  bool expects_continue = false;
};

const std::string kLong(3000, 'a');

const Good kGood[] = {
    {"the usual", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", {}},
    {"query", "GET /a/b?x=1&y=2 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a/b", "x=1&y=2", {}},
    {"empty query", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", "", {}},
    {"two question marks", "GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", "b?c", {}},
    {"percent", "GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a%20b", "", {}},
    {"braces and bars", "GET /{a|b} HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/{a|b}", "", {}},
    {"no space after colon", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET", "/", "", {}},
    {"blanks around a value", "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", "GET", "/", "", {}},
    {"empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", "GET", "/", "", {}},
    {"odd but valid name", "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~9: x\r\n\r\n", "GET", "/", "", {}},
    {"tab inside a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", "GET", "/", "", {}},
    {"obs-text", "GET / HTTP/1.1\r\nHost: a\r\nX: gr\xc3\xbc\xc3\x9f\xff\r\n\r\n", "GET", "/", "", {}},
    {"names without case",
     "GET / HTTP/1.1\r\nhOsT: a\r\ncOnTeNt-LeNgTh: 3\r\n\r\n",
     "GET",
     "/",
     "",
     {Kind::sized, 3}},
    {"sized",
     "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n",
     "POST",
     "/x",
     "",
     {Kind::sized, 12}},
    {"length zero", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST", "/x", "", {}},
    {"leading zeros",
     "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0012\r\n\r\n",
     "POST",
     "/x",
     "",
     {Kind::sized, 12}},
    {"largest length",
     "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
     "PUT",
     "/x",
     "",
     {Kind::sized, 9223372036854775807u}},
    {"chunked",
     "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
     "POST",
     "/x",
     "",
     {Kind::chunked, 0}},
    {"chunked in capitals",
     "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
     "POST",
     "/x",
     "",
     {Kind::chunked, 0}},
    {"body of a GET",
     "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
     "GET",
     "/x",
     "",
     {Kind::sized, 1}},
    {"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET", "/", "", {}, false},
    {"close among others",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close ,bar\r\n\r\n",
     "GET",
     "/",
     "",
     {},
     false},
    {"close in a second field",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
     "GET",
     "/",
     "",
     {},
     false},
    {"close wins",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
     "GET",
     "/",
     "",
     {},
     false},
    {"unclosed is no close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", "GET", "/", "", {}},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", {}, false},
    {"HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET", "/", "", {}, false},
    {"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", {}, true},
    {"HTTP/1.0 with a body",
     "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n",
     "POST",
     "/",
     "",
     {Kind::sized, 4},
     false},
    {"expectation",
     "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "PUT",
     "/",
     "",
     {Kind::sized, 1},
     true,
     true},
    {"expectation in capitals",
     "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
     "PUT",
     "/",
     "",
     {Kind::sized, 1},
     true,
     true},
    {"expectation without a body",
     "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
     "GET",
     "/",
     "",
     {}},
    {"expectation of 1.0 is ignored",
     "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "PUT",
     "/",
     "",
     {Kind::sized, 1},
     false},
    {"absolute-form", "GET http://b.example:80/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/p", "q", {}},
    {"absolute-form without a path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", {}},
    {"absolute-form with query only", "GET HTTP://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "q", {}},
    {"absolute-form, https", "GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", {}},
    {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "", {}},
    {"own method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "BREW", "/pot", "", {}},
    {"lower-case method is another method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "get", "/", "", {}},
    {"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", {}},
    {"IPv4 host with port", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", "GET", "/", "", {}},
    {"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "GET", "/", "", {}},
    {"host with underscore", "GET / HTTP/1.1\r\nHost: a_b.c\r\n\r\n", "GET", "/", "", {}},
    {"double slash path", "GET //a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "//a", "", {}},
    {"dots are not resolved", "GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/../a", "", {}},
    {"long target", "GET /" + kLong + " HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/" + kLong, "", {}},
    {"upgrade is left to the handler",
     "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "GET",
     "/ws",
     "",
     {}},
};

struct Bad {
  std::string name;
  std::string bytes;
  int status = 400;
};

std::string nul() {
  return std::string(1, '\0');
}

const Bad kBad[] = {
    {"length and coding",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"coding and length",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
    {"coding and length zero",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"},
    {"equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"},
    {"different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"},
    {"list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n"},
    {"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n"},
    {"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n"},
    {"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n"},
    {"length with a unit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3k\r\n\r\n"},
    {"length with a blank inside", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\n"},
    {"tab behind a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\t\r\n\r\n"},
    {"tab before a coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n"},
    {"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
    {"length of 2^63", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n"},
    {"length of 2^64", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"},
    {"length of 40 digits",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1111111111111111111111111111111111111111\r\n\r\n"},
    {"gzip", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    {"gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
    {"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
    {"xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
    {"chunked in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 501},
    {"chunked with a parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 501},
    {"vertical tab before chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n"},
    {"two codings",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"two codings, the first another",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 501},
    {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
    {"LF only", "GET / HTTP/1.1\nHost: a\n\n"},
    {"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"},
    {"bare CR before a field", "GET / HTTP/1.1\r\nHost: a\r\n\rX: a\r\n\r\n"},
    {"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"},
    {"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"folded by a space", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
    {"folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"},
    {"blank line before the fields", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
    {"tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"},
    {"space before the colon of a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n"},
    {"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
    {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"},
    {"slash in a name", "GET / HTTP/1.1\r\nHost: a\r\nX/Y: x\r\n\r\n"},
    {"parenthesis in a name", "GET / HTTP/1.1\r\nHost: a\r\nX(Y): x\r\n\r\n"},
    {"NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX" + nul() + "Y: x\r\n\r\n"},
    {"non-ASCII in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xbc: x\r\n\r\n"},
    {"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a" + nul() + "b\r\n\r\n"},
    {"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n"},
    {"escape in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n"},
    {"no Host", "GET / HTTP/1.1\r\n\r\n"},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
    {"two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {"list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
    {"Host with a word for a port", "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"},
    {"Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"},
    {"Host that is only a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"},
    {"Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {"Host with text after its bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"},
    {"empty method", " / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"method with a bracket", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"method with a control", "G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"endless method", std::string(33, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"space at the end of the request line", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"NUL in the target", "GET /a" + nul() + " HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"non-ASCII in the target", "GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"relative target", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"target with another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"target with a user", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"target without a host", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
    {"no version", "GET /\r\nHost: a\r\n\r\n"},
    {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"},
    {"version of one digit", "GET / HTTP/1\r\nHost: a\r\n\r\n"},
    {"version of three digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
    {"another protocol", "GET / ICAP/1.0\r\nHost: a\r\n\r\n"},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"HTTP/0.9 with version", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    {"other expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n", 417},
    {"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
    {"binary", "\x80\x81\x82\x83"},
    {"target too long", "GET /" + std::string(16 * 1024, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
    {"endless first line", "GET /" + std::string(80 * 1024, 'a'), 414},
    {"value too long", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(65 * 1024, 'a') + "\r\n\r\n", 431},
};

void check_same(const Outcome& a, const Outcome& b) {
  CHECK(a.result == b.result);
  CHECK(a.status == b.status);
  CHECK(a.size == b.size);
  CHECK(a.request.method == b.request.method);
  CHECK(a.request.target == b.request.target);
  CHECK(a.request.headers.fields() == b.request.headers.fields());
  CHECK(a.framing == b.framing);
  CHECK(a.keep_alive == b.keep_alive);
}

}  // namespace

TEST_CASE("valid requests are understood") {
  for (const Good& row : kGood) {
    INFO(row.name);
    const std::string bytes = row.bytes + "BODY OR NEXT";
    const Outcome outcome = parse(bytes);
    CHECK(outcome.status == 0);
    REQUIRE(outcome.result == Result::done);
    CHECK(outcome.size == row.bytes.size());
    CHECK(outcome.request.method == row.method);
    CHECK(outcome.request.path == row.path);
    CHECK(outcome.request.query == row.query);
    CHECK(outcome.framing == row.framing);
    CHECK(outcome.keep_alive == row.keep_alive);
    CHECK(outcome.expects_continue == row.expects_continue);
    check_same(outcome, parse(bytes, every_byte(bytes)));
    // Nothing less than the whole head is enough.
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut)
      if (parse(std::string_view(row.bytes).substr(0, cut)).result != Result::more) FAIL("done at " << cut);
  }
}

TEST_CASE("hostile requests are refused") {
  for (const Bad& row : kBad) {
    INFO(row.name);
    const Outcome outcome = parse(row.bytes);
    CHECK(outcome.result == Result::refused);
    CHECK(outcome.status == row.status);
    if (row.bytes.size() < 1000) check_same(outcome, parse(row.bytes, every_byte(row.bytes)));
  }
}

TEST_CASE("requests in random pieces are parsed as if whole") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::vector<std::string> inputs;
  for (const Good& row : kGood) inputs.push_back(row.bytes);
  for (const Bad& row : kBad) inputs.push_back(row.bytes);
  for (int round = 0; round < 3000; ++round) {
    const std::string& bytes = inputs[random() % inputs.size()];
    std::vector<std::size_t> cuts;
    for (auto n = random() % 8; n > 0; --n) cuts.push_back(random() % (bytes.size() + 1));
    std::sort(cuts.begin(), cuts.end());
    INFO(bytes.substr(0, 200));
    check_same(parse(bytes), parse(bytes, cuts));
  }
}

TEST_CASE("no mutation makes the parser misbehave") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = kGood[random() % std::size(kGood)].bytes;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const auto at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 4);
          break;
        default:
          bytes.insert(at, 1, "\r\n\t :,;\0"[random() % 8]);
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    const Outcome outcome = parse(bytes);
    check_same(outcome, parse(bytes, every_byte(bytes)));
    if (outcome.result != Result::done) continue;
    ++accepted;
    for (const auto& [name, value] : outcome.request.headers.fields()) {
      const std::string_view forbidden("\0\r\n", 3);
      if (name.find_first_of(forbidden) != name.npos || value.find_first_of(forbidden) != value.npos)
        FAIL("control characters in " << name);
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("fields keep their order, names their case, values are trimmed") {
  const Outcome outcome =
      parse("GET / HTTP/1.1\r\nHost: h\r\nX-B:  1 \r\nx-a: 2\r\nX-B: 3\r\nEmpty: \t \r\n\r\n");
  REQUIRE(outcome.result == Result::done);
  const auto& fields = outcome.request.headers.fields();
  const std::vector<std::pair<std::string, std::string>> expected{
      {"Host", "h"}, {"X-B", "1"}, {"x-a", "2"}, {"X-B", "3"}, {"Empty", ""}};
  CHECK(fields == expected);
}

TEST_CASE("the host of an absolute target replaces Host") {
  const Outcome outcome = parse("GET http://real.example:81/p?q=1 HTTP/1.1\r\nHost: other\r\n\r\n");
  REQUIRE(outcome.result == Result::done);
  CHECK(outcome.request.headers.all("host") == std::vector<std::string_view>{"real.example:81"});
  CHECK(outcome.request.target == "/p?q=1");
}

TEST_CASE("limits of a head") {
  const HeadLimits small{.head_bytes = 200, .header_count = 4, .target_bytes = 20};
  const std::string four = "A: 1\r\nB: 2\r\nC: 3\r\n";
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n" + four + "\r\n", {}, small).result == Result::done);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n" + four + "D: 4\r\n\r\n", {}, small).status == 431);
  CHECK(parse("GET /" + std::string(19, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", {}, small).result ==
        Result::done);
  CHECK(parse("GET /" + std::string(20, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", {}, small).status == 414);
  CHECK(parse("GET /" + std::string(100, 'x'), {}, small).status == 414);

  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string exact = start + std::string(200 - start.size() - 4, 'x') + "\r\n\r\n";
  REQUIRE(exact.size() == 200);
  CHECK(parse(exact, {}, small).result == Result::done);
  CHECK(parse(start + std::string(200 - start.size() - 3, 'x') + "\r\n\r\n", {}, small).status == 431);
  CHECK(parse(start + std::string(400, 'x'), {}, small).status == 431);
  // What follows the head on the connection does not count.
  CHECK(parse(exact + std::string(1000, 'x'), {}, small).result == Result::done);
}
