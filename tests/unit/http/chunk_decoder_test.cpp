#include <catch2/catch.hpp>
#include <random>

#include "core/http/parser.h"

using wrenn::http::ChunkDecoder;

namespace {

struct Decoded {
  std::string body;
  bool done = false;
  bool refused = false;
  std::size_t consumed = 0;
};

// Feeds `bytes` in the pieces that `cuts` make.
Decoded decode(std::string_view bytes, const std::vector<std::size_t>& cuts = {}) {
  ChunkDecoder decoder;
  Decoded out;
  std::size_t begin = 0;
  auto ends = cuts;
  ends.push_back(bytes.size());
  for (const std::size_t end : ends) {
    auto piece = bytes.substr(begin, end - begin);
    begin = end;
    for (;;) {
      const auto step = decoder.next(piece);
      piece.remove_prefix(step.consumed);
      out.consumed += step.consumed;
      out.body += step.data;
      out.done = step.done;
      out.refused = step.refused;
      if (step.done || step.refused) return out;
      if (step.consumed == 0) break;
    }
  }
  return out;
}

struct Good {
  std::string bytes;
  std::string body;
};

const Good kGood[] = {
    {"0\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
    {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    {"0000a\r\n0123456789\r\n000\r\n\r\n", "0123456789"},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
    {"3;name=value\r\nabc\r\n0;last\r\n\r\n", "abc"},
    {"3;a=\"quoted; text\"\r\nabc\r\n0\r\n\r\n", "abc"},
    {"3\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", "abc"},
};

const std::string kBad[] = {
    "\r\n",
    "x\r\n",
    "-1\r\n",
    "+1\r\nx\r\n",
    " 1\r\nx\r\n",
    "1 \r\nx\r\n",
    "1 ;e\r\nx\r\n",
    "0x1\r\nx\r\n",
    ";e\r\n",
    "1\nx\r\n0\r\n\r\n",
    "1\r\nx\n0\r\n\r\n",
    "1\r\nxy\r\n0\r\n\r\n",
    "1\rx",
    "1\r\nx\rx",
    "2;a\x01\r\nxx\r\n0\r\n\r\n",
    "2;a\nxx\r\n0\r\n\r\n",
    "1000000000000000\r\n",
    "ffffffffffffffffffff\r\n",
    "0\r\n\n",
    "0\r\nTrailer\r\n\r\n",
    "0\r\nTrailer : x\r\n\r\n",
    "0\r\n folded\r\n\r\n",
    "0\r\nTrailer: x\n\r\n",
    "0\r\nTrailer: \x02\r\n\r\n",
    "0\r\nContent-Length: x\r\n\r\n",
};

}  // namespace

TEST_CASE("chunked bodies are decoded, split anywhere") {
  for (const Good& row : kGood) {
    INFO(row.bytes);
    const std::string bytes = row.bytes + "NEXT REQUEST";
    for (std::size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      const Decoded out = decode(bytes, {cut});
      REQUIRE(out.done);
      REQUIRE(out.body == row.body);
      REQUIRE(out.consumed == row.bytes.size());
    }
    // Every pair of cuts, and every single byte by itself.
    std::vector<std::size_t> all;
    for (std::size_t a = 0; a <= row.bytes.size(); ++a) {
      all.push_back(a);
      for (std::size_t b = a; b <= row.bytes.size(); ++b)
        if (decode(bytes, {a, b}).body != row.body) FAIL("cut at " << a << " and " << b);
    }
    CHECK(decode(bytes, all).body == row.body);
    // No proper prefix is a whole body.
    for (std::size_t size = 0; size < row.bytes.size(); ++size) {
      const Decoded out = decode(std::string_view(row.bytes).substr(0, size));
      if (out.done || out.refused) FAIL("ended after " << size);
    }
  }
}

TEST_CASE("broken chunks are refused, split anywhere") {
  for (const std::string& bytes : kBad) {
    INFO(bytes);
    CHECK(decode(bytes).refused);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
      if (!decode(bytes, {cut}).refused) FAIL("accepted when cut at " << cut);
  }
}

TEST_CASE("chunk lines and trailers have limits") {
  CHECK(decode("1;" + std::string(2000, 'x') + "\r\n").refused);
  CHECK(decode(std::string(2000, '0')).refused);
  std::string trailers = "0\r\n";
  while (trailers.size() < 9000) trailers += "Name: value\r\n";
  CHECK(decode(trailers + "\r\n").refused);
  CHECK(decode("0\r\nName: " + std::string(9000, 'x') + "\r\n\r\n").refused);
}

TEST_CASE("random bodies survive random chunks and random pieces") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    std::string body;
    std::string bytes;
    for (auto chunks = random() % 6; chunks > 0; --chunks) {
      std::string chunk(1 + random() % 300, '\0');
      for (char& c : chunk) c = static_cast<char>(random());
      char line[40];
      std::snprintf(line, sizeof line, random() % 2 == 0 ? "%zx\r\n" : "%zX;ext=1\r\n", chunk.size());
      bytes += line + chunk + "\r\n";
      body += chunk;
    }
    bytes += "0\r\n\r\n";
    std::vector<std::size_t> cuts;
    for (auto n = random() % 20; n > 0; --n) cuts.push_back(random() % (bytes.size() + 1));
    std::sort(cuts.begin(), cuts.end());
    const Decoded out = decode(bytes, cuts);
    REQUIRE(out.done);
    REQUIRE(out.body == body);
    REQUIRE(out.consumed == bytes.size());
  }
}
