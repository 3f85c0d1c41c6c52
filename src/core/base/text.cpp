#include "core/base/text.h"

#include <algorithm>
#include <cstring>

namespace wrenn {

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

static char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += separator;
    out += parts[i];
  }
  return out;
}

namespace {

// What stands at the start of a text, seen as UTF-8 (Unicode 15, table 3-7).
struct Sequence {
  enum class Kind { valid, malformed, incomplete } kind;
  std::size_t length;  // bytes to take: the sequence, or the part of it that is malformed
};

Sequence next_sequence(std::string_view text) noexcept {
  using enum Sequence::Kind;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {valid, 1};
  std::size_t length;
  unsigned low = 0x80, high = 0xBF;  // allowed range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {malformed, 1};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {incomplete, i};
    if (byte(i) < low || byte(i) > high) return {malformed, i};
    low = 0x80, high = 0xBF;
  }
  return {valid, length};
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    // Nearly all text is ASCII: eight bytes a step.
    std::uint64_t word;
    while (text.size() >= sizeof(word)) {
      std::memcpy(&word, text.data(), sizeof(word));
      if ((word & 0x8080808080808080ULL) != 0) break;
      text.remove_prefix(sizeof(word));
    }
    if (text.empty()) break;
    const auto sequence = next_sequence(text);
    if (sequence.kind != Sequence::Kind::valid) return false;
    text.remove_prefix(sequence.length);
  }
  return true;
}

std::size_t complete_utf8_prefix(std::string_view text) noexcept {
  // Only the last three bytes can belong to an unfinished sequence.
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::size_t at = text.size() - back;
    const auto byte = static_cast<unsigned char>(text[at]);
    if ((byte & 0xC0) == 0x80) continue;
    if (next_sequence(text.substr(at)).kind == Sequence::Kind::incomplete) return at;
    break;
  }
  return text.size();
}

std::string sanitize_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto sequence = next_sequence(text);
    if (sequence.kind == Sequence::Kind::valid) {
      out += text.substr(0, sequence.length);
    } else {
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(sequence.length);
  }
  return out;
}

bool is_safe_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > 64) return false;
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (!alphanumeric(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

static std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j - 1] + 1, above + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLikelyTypoEdits = 2;
  std::optional<std::string> best;
  std::size_t best_distance = kLikelyTypoEdits + 1;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::optional<std::int64_t> parse_size_mib(std::string_view text) noexcept {
  text = trim(text);
  double factor = 1;
  for (const auto& [suffix, value] :
       {std::pair<std::string_view, double>{"Gi", 1024}, {"G", 1024}, {"Mi", 1}, {"M", 1}}) {
    if (!text.ends_with(suffix)) continue;
    text.remove_suffix(suffix.size());
    factor = value;
    break;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const double mib = number * factor;
  if (!(mib >= 1) || mib > 1e12) return std::nullopt;
  return static_cast<std::int64_t>(mib);
}

}  // namespace wrenn
