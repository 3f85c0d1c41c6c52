// Which bytes may stand where in a message head (RFC 9110 §5.6.2 and §5.5, RFC 9112 §3.2). One table, so that
// the parser looks at each byte once.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace wrenn::http {

namespace detail {

enum : std::uint8_t { kTokenBit = 1, kValueBit = 2, kTargetBit = 4, kHostBit = 8 };

constexpr std::array<std::uint8_t, 256> make_character_table() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&](std::string_view characters, std::uint8_t bits) {
    for (const unsigned char c : characters) table[c] = static_cast<std::uint8_t>(table[c] | bits);
  };
  constexpr std::string_view kAlphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  mark(kAlphanumeric, kTokenBit | kHostBit);
  mark("!#$%&'*+-.^_`|~", kTokenBit);
  // reg-name, IP literal and port of a Host field.
  mark("-._~%!$&'()*+;=:[]", kHostBit);
  for (int c = 0x20; c < 0x7f; ++c) table[static_cast<std::size_t>(c)] |= kValueBit;
  table['\t'] |= kValueBit;
  for (int c = 0x80; c < 0x100; ++c) table[static_cast<std::size_t>(c)] |= kValueBit;  // obs-text
  // Wider than the grammar of URIs, because browsers send { } | and the like; but no space, control or
  // non-ASCII byte, and no fragment, which never belongs on the wire.
  for (int c = 0x21; c < 0x7f; ++c)
    if (c != '#') table[static_cast<std::size_t>(c)] |= kTargetBit;
  return table;
}

inline constexpr auto kCharacters = make_character_table();

constexpr bool all_have(std::string_view text, std::uint8_t bit) noexcept {
  std::uint8_t common = bit;
  for (const unsigned char c : text) common &= kCharacters[c];
  return common != 0;
}

}  // namespace detail

constexpr bool is_token_char(char c) noexcept {
  return (detail::kCharacters[static_cast<unsigned char>(c)] & detail::kTokenBit) != 0;
}
constexpr bool is_token(std::string_view text) noexcept {
  return !text.empty() && detail::all_have(text, detail::kTokenBit);
}
constexpr bool is_field_value(std::string_view text) noexcept {
  return detail::all_have(text, detail::kValueBit);
}
constexpr bool is_target(std::string_view text) noexcept {
  return !text.empty() && detail::all_have(text, detail::kTargetBit);
}
constexpr bool has_host_characters(std::string_view text) noexcept {
  return !text.empty() && detail::all_have(text, detail::kHostBit);
}

}  // namespace wrenn::http
