// A fast checksum against accidents: XXH3 with 128 bits (github.com/Cyan4973/xxHash, doc/xxhash_spec.md),
// about ten times the speed of SHA-256. It does not resist who wants two texts with the same one; for that
// there is core/crypto.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace wrenn {

class Checksum {
 public:
  static constexpr std::size_t kBytes = 16;

  Checksum();  // throws std::bad_alloc
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  void update(std::span<const std::byte> data) noexcept;
  // 32 hex digits of all that was given so far.
  std::string hex() const;
  // The same of one piece, as kBytes raw bytes.
  static std::string raw_of(std::span<const std::byte> data);
  static std::string hex_of(std::span<const std::byte> data);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wrenn
