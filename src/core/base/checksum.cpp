#include "core/base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/base/codec.h"

namespace wrenn {

namespace {

std::string raw(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return std::string(reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest);
}

}  // namespace

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(std::span<const std::byte> data) noexcept {
  XXH3_128bits_update(&state_->xxh, data.data(), data.size());
}

std::string Checksum::hex() const {
  return hex_encode(raw(XXH3_128bits_digest(&state_->xxh)));
}

std::string Checksum::raw_of(std::span<const std::byte> data) {
  return raw(XXH3_128bits(data.data(), data.size()));
}

std::string Checksum::hex_of(std::span<const std::byte> data) {
  return hex_encode(raw_of(data));
}

}  // namespace wrenn
