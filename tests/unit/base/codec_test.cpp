#include "core/base/codec.h"

#include <catch2/catch.hpp>
#include <random>

#include "core/base/random.h"
#include "core/base/secret.h"

using namespace wrenn;

TEST_CASE("base64 follows the vectors of RFC 4648 section 10") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},         {"f", "Zg=="},     {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},  {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    CHECK(base64_encode(plain) == encoded);
    CHECK(base64_decode(encoded) == plain);
    std::string unpadded = encoded;
    while (unpadded.ends_with('=')) unpadded.pop_back();
    CHECK(base64_decode(unpadded) == plain);
    CHECK(base64_encode_unpadded(plain) == unpadded);
  }
}

TEST_CASE("base64 accepts the URL-safe alphabet and refuses anything else") {
  CHECK(base64_decode("-_-_") == base64_decode("+/+/"));
  for (const char* wrong : {"Z", "Zg=", "Zg===", "Z=g=", "Zm9v!", "Zm 9v", "====", "Zm9vYg=a"})
    CHECK_FALSE(base64_decode(wrong).has_value());
}

TEST_CASE("encoders and decoders are inverse") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(random() % 100, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
    CHECK(hex_decode(hex_encode(bytes)) == bytes);
    CHECK(percent_decode(percent_encode(bytes)) == bytes);
    CHECK(percent_decode(percent_encode_path(bytes)) == bytes);
  }
}

TEST_CASE("hexadecimal is strict") {
  CHECK(hex_decode("00fFA9") == std::string("\0\xff\xa9", 3));
  for (const char* wrong : {"0", "0g", "0x00", " 00"}) CHECK_FALSE(hex_decode(wrong).has_value());
}

TEST_CASE("percent-decoding is strict, and plus is a space only in queries") {
  CHECK(percent_decode("a%20b+c") == "a b+c");
  CHECK(percent_decode("a%20b+c", true) == "a b c");
  for (const char* wrong : {"%", "%2", "%zz", "%2g"}) CHECK_FALSE(percent_decode(wrong).has_value());
  CHECK(percent_encode("a/b c~") == "a%2Fb%20c~");
  CHECK(percent_encode_path("a/b c") == "a/b%20c");
}

TEST_CASE("random bytes differ and hex has two digits a byte") {
  CHECK(random_hex(16).size() == 32);
  CHECK(random_hex(16) != random_hex(16));
}

TEST_CASE("constant-time comparison compares") {
  CHECK(constant_time_equal("abc", "abc"));
  CHECK_FALSE(constant_time_equal("abc", "abd"));
  CHECK_FALSE(constant_time_equal("abc", "abcd"));
  CHECK(Secret("key").equals("key"));
  CHECK_FALSE(Secret("key").equals(""));
}
