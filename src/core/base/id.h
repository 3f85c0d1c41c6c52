// Typed ids: 128 random bits, shown as prefix + 25 lower-case base36 digits (a zero-padded big-endian
// integer; spec/data-model.md §2). Ids of different kinds are different types and do not convert.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace wrenn {

using IdBytes = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kIdDigits = 25;  // base36 digits that hold 128 bits

// 25 digits; noexcept apart from memory.
std::string to_base36(const IdBytes& bytes);
// Exactly 25 digits 0-9a-z whose value is below 2^128; otherwise absent.
std::optional<IdBytes> parse_base36(std::string_view digits) noexcept;
// Throws SystemError if the kernel gives no random bytes.
IdBytes random_id_bytes();

// `Kind` is a tag type with `static constexpr std::string_view kPrefix` ("cl-") and kName ("sandbox").
template <typename Kind>
class Id {
 public:
  Id() = default;  // the all-zero id, which is well known for some kinds (the platform team)
  explicit Id(const IdBytes& bytes) : bytes_(bytes) {}

  static Id random() { return Id(random_id_bytes()); }
  // For well-known ids such as the system templates 0–1024.
  static Id from_number(std::uint64_t number) {
    IdBytes bytes{};
    for (int i = 0; i < 8; ++i) bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    return Id(bytes);
  }
  // Absent unless `text` is the exact prefix and 25 digits of a value below 2^128.
  static std::optional<Id> parse(std::string_view text) noexcept {
    if (!text.starts_with(Kind::kPrefix)) return std::nullopt;
    const auto bytes = parse_base36(text.substr(Kind::kPrefix.size()));
    if (!bytes) return std::nullopt;
    return Id(*bytes);
  }

  std::string text() const { return std::string(Kind::kPrefix) + to_base36(bytes_); }
  std::string digits() const { return to_base36(bytes_); }
  const IdBytes& bytes() const noexcept { return bytes_; }
  auto operator<=>(const Id&) const = default;

 private:
  IdBytes bytes_{};
};

}  // namespace wrenn

template <typename Kind>
struct std::hash<wrenn::Id<Kind>> {
  std::size_t operator()(const wrenn::Id<Kind>& id) const noexcept {
    std::size_t value = 0;
    for (const auto byte : id.bytes()) value = value * 131 + byte;
    return value;
  }
};
