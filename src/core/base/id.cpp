#include "core/base/id.h"

#include "core/base/random.h"

namespace wrenn {

static constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

// 128-bit division is a library call of some 30 ns, so ids are cut into parts of 12 digits first: those fit 64 bits, and
// there dividing by a constant is a multiplication.
static constexpr std::size_t kPartDigits = 12;
static constexpr std::uint64_t kPart = 4'738'381'338'321'616'896ULL;  // 36^12

static void write_digits(std::uint64_t value, char* first, std::size_t count) noexcept {
  for (std::size_t i = count; i-- > 0; value /= 36) first[i] = kDigits[value % 36];
}

std::string to_base36(const IdBytes& bytes) {
  unsigned __int128 value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  std::string digits(kIdDigits, '0');
  const unsigned __int128 upper = value / kPart;
  write_digits(static_cast<std::uint64_t>(value - upper * kPart), digits.data() + kIdDigits - kPartDigits, kPartDigits);
  // 2^128 / 36^12 is below 2^66: one digit more than 64 bits hold, taken off at the front.
  const auto first = static_cast<std::uint64_t>(upper / kPart);
  write_digits(static_cast<std::uint64_t>(upper - static_cast<unsigned __int128>(first) * kPart), digits.data() + 1, kPartDigits);
  digits[0] = kDigits[first];
  return digits;
}

std::optional<IdBytes> parse_base36(std::string_view digits) noexcept {
  if (digits.size() != kIdDigits) return std::nullopt;
  constexpr unsigned __int128 kMax = ~static_cast<unsigned __int128>(0);
  unsigned __int128 value = 0;
  for (std::size_t i = 0; i < kIdDigits; ++i) {
    const char c = digits[i];
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
    // 36^24 is below 2^125: only the last digit can carry the value beyond 2^128.
    if (i + 1 == kIdDigits && value > (kMax - digit) / 36) return std::nullopt;
    value = value * 36 + digit;
  }
  IdBytes bytes{};
  for (std::size_t i = bytes.size(); i-- > 0; value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
  return bytes;
}

IdBytes random_id_bytes() {
  IdBytes bytes;
  fill_random(bytes);
  return bytes;
}

}  // namespace wrenn
