#include <catch2/catch.hpp>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/crypto/aead.h"

using namespace wrenn;
using crypto::Aead;

static Aead with_key(char byte) {
  return Aead(Secret(std::string(Aead::kKeyBytes, byte)));
}

TEST_CASE("what was sealed opens again, with the same key only") {
  const auto aead = with_key('k');
  for (const std::string& text :
       {std::string(), std::string("secret"), std::string(5000, 'x'), std::string("\0a", 2)}) {
    const auto sealed = aead.seal(text);
    CHECK(sealed.size() == Aead::kNonceBytes + text.size() + Aead::kTagBytes);
    CHECK(aead.open(sealed) == text);
    CHECK_FALSE(with_key('l').open(sealed));
  }
  CHECK(aead.seal("same") != aead.seal("same"));
}

TEST_CASE("what was changed does not open") {
  const auto aead = with_key('k');
  const auto sealed = aead.seal("secret");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(aead.open(changed));
  }
  for (std::size_t length = 0; length < sealed.size(); ++length)
    CHECK_FALSE(aead.open(sealed.substr(0, length)));
}

// Test case 15 of "The Galois/Counter Mode of Operation" (McGrew, Viega), appendix B.
TEST_CASE("AES-256-GCM as others compute it") {
  const auto hex = [](std::string_view text) { return *hex_decode(text); };
  const Aead aead(Secret(hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")));
  const auto plain =
      hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b1"
          "6aedf5aa0de6"
          "57ba637b391aafd255");
  const auto sealed =
      hex("cafebabefacedbaddecaf888"
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5"
          "f61e6393ba7a"
          "0abcc9f662898015ad"
          "b094dac5d93471bdec1a502270e3cc6c");
  CHECK(aead.open(sealed) == plain);
}

TEST_CASE("a key of another length is refused") {
  CHECK_THROWS_AS(Aead(Secret("short")), Error);
}
