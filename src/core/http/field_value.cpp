#include "core/http/field_value.h"

#include "core/base/codec.h"
#include "core/base/text.h"
#include "core/http/characters.h"

namespace wrenn::http {

namespace {

void skip_spaces(std::string_view& text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

std::string_view take_token(std::string_view& text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && is_token_char(text[size])) ++size;
  const auto token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

// `text` begins behind the opening quote.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      text.remove_prefix(i + 1);
      return out;
    }
    if (c == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) c = text[++i];
    out += c;
  }
  return std::nullopt;
}

// Wider than a token: boundaries and media types stand unquoted too.
std::string_view take_bare(std::string_view& text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && text[size] > ' ' && text[size] < 0x7f && text[size] != ';' &&
         text[size] != '"')
    ++size;
  const auto bare = text.substr(0, size);
  text.remove_prefix(size);
  return bare;
}

}  // namespace

const std::string* FieldValue::find(std::string_view name) const noexcept {
  for (const auto& [key, text] : parameters)
    if (key == name) return &text;
  return nullptr;
}

std::optional<FieldValue> parse_field_value(std::string_view text) {
  if (!is_field_value(text)) return std::nullopt;
  FieldValue out;
  skip_spaces(text);
  out.value = to_lower(take_bare(text));
  if (out.value.empty()) return std::nullopt;
  for (;;) {
    skip_spaces(text);
    if (text.empty()) return out;
    if (text.front() != ';') return std::nullopt;
    text.remove_prefix(1);
    skip_spaces(text);
    if (text.empty() || text.front() == ';') continue;  // an empty parameter is allowed
    auto name = to_lower(take_token(text));
    if (name.empty() || !text.starts_with('=') || out.find(name) != nullptr) return std::nullopt;
    text.remove_prefix(1);
    if (text.starts_with('"')) {
      text.remove_prefix(1);
      auto quoted = take_quoted(text);
      if (!quoted) return std::nullopt;
      out.parameters.emplace_back(std::move(name), std::move(*quoted));
    } else {
      const auto bare = take_bare(text);
      if (bare.empty()) return std::nullopt;
      out.parameters.emplace_back(std::move(name), bare);
    }
  }
}

std::optional<std::string> decode_extended(std::string_view text) {
  const auto charset = text.find('\'');
  if (charset == text.npos || !equals_ignoring_case(text.substr(0, charset), "UTF-8")) return std::nullopt;
  const auto language = text.find('\'', charset + 1);
  if (language == text.npos) return std::nullopt;
  auto decoded = percent_decode(text.substr(language + 1));
  if (!decoded || !is_valid_utf8(*decoded)) return std::nullopt;
  return decoded;
}

}  // namespace wrenn::http
