// Vectors: FIPS 180-4 examples and the NIST "abc" / two-block / million-a set (also in RFC 6234 §8.5,
// TEST1-TEST3), and RFC 4231 for HMAC-SHA-256.
#include "core/crypto/hash.h"

#include <catch2/catch.hpp>

#include "core/base/codec.h"

using namespace wrenn;
using namespace wrenn::crypto;

namespace {

constexpr std::string_view kTwoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
constexpr std::string_view kTwoLongBlocks =
    "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
    "nopqrstu";

std::string from_hex(std::string_view text) {
  auto bytes = hex_decode(text);
  REQUIRE(bytes.has_value());
  return *bytes;
}

}  // namespace

TEST_CASE("SHA-1 gives the digests of FIPS 180-4 and RFC 6234", "[crypto]") {
  CHECK(hex_encode(sha1("")) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(hex_encode(sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(hex_encode(sha1(kTwoBlocks)) == "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  CHECK(hex_encode(sha1(std::string(1'000'000, 'a'))) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST_CASE("SHA-256 gives the digests of FIPS 180-4 and RFC 6234", "[crypto]") {
  CHECK(hex_encode(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_encode(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex_encode(sha256(kTwoBlocks)) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex_encode(sha256(std::string(1'000'000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-512 gives the digests of FIPS 180-4 and RFC 6234", "[crypto]") {
  CHECK(hex_encode(sha512("abc")) ==
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  CHECK(hex_encode(sha512(kTwoLongBlocks)) ==
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
        "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909");
  CHECK(hex_encode(sha512(std::string(1'000'000, 'a'))) ==
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
        "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
}

TEST_CASE("SHA-256 in pieces equals SHA-256 at once, wherever the data is cut", "[crypto]") {
  std::string data(300, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7);
  const auto whole = sha256(data);
  Sha256 hash;
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    hash.update(std::string_view(data).substr(0, cut));
    hash.update(std::string_view(data).substr(cut));
    REQUIRE(hash.finish() == whole);  // finish() starts over, so one object serves every round
  }
  CHECK(hash.finish() == sha256(""));
}

TEST_CASE("HMAC-SHA-256 gives the codes of RFC 4231", "[crypto]") {
  struct Vector {
    std::string key, data;
    std::string_view code;
  };
  const Vector vectors[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {from_hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
       "to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& vector : vectors) CHECK(hex_encode(hmac_sha256(vector.key, vector.data)) == vector.code);
  // Case 5 of the RFC gives the first 128 bits only.
  CHECK(hex_encode(hmac_sha256(std::string(20, '\x0c'), "Test With Truncation")).substr(0, 32) ==
        "a3b6167473100ee06e0c796c2955552b");
}

TEST_CASE("HMAC-SHA-256 takes an empty key as a key", "[crypto]") {
  // Computed by hand from RFC 2104: H((0 ^ opad) || H((0 ^ ipad) || data)).
  const std::string inner = sha256(std::string(64, '\x36') + "data");
  CHECK(hmac_sha256("", "data") == sha256(std::string(64, '\x5c') + inner));
  CHECK(hmac_sha256({}, "") == sha256(std::string(64, '\x5c') + sha256(std::string(64, '\x36'))));
}
