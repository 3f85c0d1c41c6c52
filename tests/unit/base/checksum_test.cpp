#include <catch2/catch.hpp>

#include "core/base/checksum.h"

using namespace wrenn;

static std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST_CASE("checksums are XXH3 of 128 bits") {
  // Of the empty input: xxHash's doc/xxhash_spec.md and `xxhsum -H2 /dev/null`.
  CHECK(Checksum::hex_of({}) == "99aa06d3014798d86001c324468d497f");
  Checksum pieces;
  CHECK(pieces.hex() == Checksum::hex_of({}));
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += static_cast<char>(i * 7);
  for (std::size_t at = 0; at < text.size(); at += 777)
    pieces.update(bytes(std::string_view(text).substr(at, 777)));
  CHECK(pieces.hex() == Checksum::hex_of(bytes(text)));
  CHECK(Checksum::raw_of(bytes(text)).size() == Checksum::kBytes);
  std::string flipped = text;
  flipped[50'000] ^= 1;
  CHECK(Checksum::hex_of(bytes(flipped)) != Checksum::hex_of(bytes(text)));
}
