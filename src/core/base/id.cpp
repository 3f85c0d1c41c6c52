#include "core/base/id.h"

#include "core/base/random.h"

namespace wrenn {

static constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

std::string to_base36(const IdBytes& bytes) {
  unsigned __int128 value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  std::string digits(kIdDigits, '0');
  for (std::size_t i = kIdDigits; i-- > 0; value /= 36) digits[i] = kDigits[static_cast<unsigned>(value % 36)];
  return digits;
}

std::optional<IdBytes> parse_base36(std::string_view digits) noexcept {
  if (digits.size() != kIdDigits) return std::nullopt;
  constexpr unsigned __int128 kMax = ~static_cast<unsigned __int128>(0);
  unsigned __int128 value = 0;
  for (const char c : digits) {
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
    if (value > (kMax - digit) / 36) return std::nullopt;  // 36^25 exceeds 2^128
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
