// Small text functions that the standard library of C++20 lacks.
#pragma once

#include <concepts>
#include <cstdint>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn {

std::string_view trim(std::string_view text) noexcept;  // spaces, tabs, CR, LF
std::string to_lower(std::string_view text);            // ASCII
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;  // ASCII
std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty parts
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Whole text, decimal digits with optional minus for signed types, no plus, no spaces; absent otherwise or when out of range.
template <std::integral T>
std::optional<T> parse_int(std::string_view text) noexcept {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_valid_utf8(std::string_view text) noexcept;  // no surrogates, no overlong forms, ≤ U+10FFFF
// Length of the longest prefix of `text` that does not end inside a UTF-8 sequence that more bytes could complete.
std::size_t complete_utf8_prefix(std::string_view text) noexcept;
// Replaces every malformed sequence by U+FFFD.
std::string sanitize_utf8(std::string_view text);

// ^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$, the SafeName rule of spec/data-model.md §2.
bool is_safe_name(std::string_view text) noexcept;

// The closest of `candidates` by edit distance when it is close enough to be a likely typo (≤ 2 edits).
std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& candidates);

// "5Gi", "2G" (×1024 MB), "1000M", "512Mi", "512": size in MiB as in spec/vm.md §1; absent when malformed.
std::optional<std::int64_t> parse_size_mib(std::string_view text) noexcept;

}  // namespace wrenn
