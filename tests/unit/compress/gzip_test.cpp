#include "core/compress/gzip.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "core/base/codec.h"
#include "core/base/error.h"

namespace {

using namespace wrenn::compress;

std::string pack(std::string_view data, std::size_t in_piece, std::size_t out_piece) {
  GzipWriter writer;
  std::string packed;
  std::vector<char> out(out_piece);
  while (!data.empty()) {
    const auto [consumed, produced] = writer.step(data.substr(0, in_piece), out);
    packed.append(out.data(), produced);
    data.remove_prefix(consumed);
  }
  while (!writer.ended()) packed.append(out.data(), writer.finish(out));
  return packed;
}

struct Unpacked {
  std::string data;
  bool whole;
};

Unpacked unpack(std::string_view packed, std::size_t in_piece, std::size_t out_piece) {
  GzipReader reader;
  Unpacked result;
  std::vector<char> out(out_piece);
  for (;;) {
    const auto [consumed, produced] = reader.step(packed.substr(0, in_piece), out);
    result.data.append(out.data(), produced);
    packed.remove_prefix(consumed);
    if (consumed == 0 && produced == 0) break;
  }
  CHECK(packed.empty());
  result.whole = reader.at_end();
  return result;
}

std::string noise(std::size_t size) {
  std::string data(size, '\0');
  std::mt19937 random(7);
  for (char& c : data) c = static_cast<char>(random());
  return data;
}

}  // namespace

TEST_CASE("gzip gives back what it was given, whatever the pieces") {
  for (const std::string& data :
       {std::string(), std::string("x"), std::string(100'000, 'a'), noise(70'000)}) {
    for (const std::size_t piece : {1, 7, 4096, 1 << 20}) {
      const auto [out, whole] = unpack(pack(data, piece, piece), piece, piece);
      CHECK(out == data);
      CHECK(whole);
    }
  }
}

TEST_CASE("what cannot be packed is stored, and what can be after it is packed again") {
  const std::string hard = noise(3 << 20), easy(40 << 20, 'z');
  for (const std::size_t piece : {5000, 1 << 18}) {
    const std::string packed = pack(hard + easy, 1 << 18, piece);
    CHECK(packed.size() > hard.size());
    CHECK(packed.size() < hard.size() + easy.size() * 9 / 10);
    const auto [out, whole] = unpack(packed, 1 << 18, 1 << 18);
    CHECK(out.size() == hard.size() + easy.size());
    CHECK(out == hard + easy);
    CHECK(whole);
  }
  CHECK(pack(hard, 1 << 18, 1 << 18).size() < hard.size() * 101 / 100);
}

TEST_CASE("gzip of another program is read: gzip -9 of \"hello\\n\"") {
  const auto packed = wrenn::base64_decode("H4sIAAAAAAACA8tIzcnJ5wIAIDA6NgYAAAA=");
  REQUIRE(packed);
  CHECK(unpack(*packed, 3, 2).data == "hello\n");
}

TEST_CASE("gzip members that follow each other are one content") {
  const auto [out, whole] = unpack(pack("one", 10, 100) + pack("two", 10, 100), 1000, 2);
  CHECK(out == "onetwo");
  CHECK(whole);
}

TEST_CASE("a gzip stream that is cut says so at every place") {
  const std::string packed = pack("some text that is long enough", 100, 100);
  for (std::size_t size = 0; size < packed.size(); ++size)
    CHECK_FALSE(unpack(packed.substr(0, size), 5, 5).whole);
}

TEST_CASE("what is no gzip is refused") {
  const std::string packed = pack("text", 100, 100);
  std::string checksum = packed, length = packed;
  checksum[packed.size() - 8] ^= 1;
  length[packed.size() - 1] ^= 1;
  for (const std::string& bad : {std::string("plain text"), packed + "garbage", checksum, length}) {
    try {
      unpack(bad, 100, 100);
      FAIL("accepted");
    } catch (const wrenn::Error& error) {
      CHECK(error.code() == wrenn::ErrorCode::invalid_argument);
    }
  }
}
