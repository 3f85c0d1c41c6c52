#include "core/log/redaction.h"

#include <algorithm>

#include "core/base/text.h"

namespace wrenn::log {

namespace {

constexpr std::string_view kStars = "***";
constexpr std::size_t kKeyDigits = 32;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}
bool ends_value(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || std::string_view("&\"'<>,;)").find(c) != std::string_view::npos;
}
std::size_t end_of_value(std::string_view text, std::size_t at) {
  if (at < text.size() && (text[at] == '"' || text[at] == '\''))
    return std::min(text.find(text[at], at + 1), text.size() - 1) + 1;
  while (at < text.size() && !ends_value(text[at])) ++at;
  return at;
}

// What stands at the end of what is written already and makes the text behind it a secret.
bool names_secret(std::string_view before) {
  auto begin = before.size();
  while (begin > 0 && is_word(before[begin - 1])) --begin;
  const auto name = to_lower(before.substr(begin));
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has("token") || has("secret") || has("passw") || has("api_key") || has("signature") || has("session"))
    return true;
  // Words of every day, elsewhere.
  const bool in_query = begin > 0 && (before[begin - 1] == '?' || before[begin - 1] == '&');
  return in_query && (name == "code" || name == "state" || name == "key" || name == "sig");
}

// The end of a secret that begins at `at`, or `at`. `before` is what stands in front of it.
std::size_t end_of_secret(std::string_view text, std::size_t at) {
  const auto before = text.substr(0, at);
  if (before.ends_with("wrn_") || before.ends_with("e2b_")) {
    auto end = at;
    while (end < text.size() && is_hex(text[end])) ++end;
    return end - at >= kKeyDigits ? end : at;
  }
  if (before.ends_with('=')) return names_secret(before.substr(0, at - 1)) ? end_of_value(text, at) : at;
  if (before.ends_with("Bearer ") || before.ends_with("Basic ")) return end_of_value(text, at);
  if (before.ends_with(':') && !text.substr(at).starts_with("//")) {
    // The user stands between the slashes and the colon, and the password ends with the last @ of its part.
    const auto slashes = before.rfind("://");
    if (slashes == before.npos) return at;
    const auto user = before.substr(slashes + 3, at - 1 - slashes - 3);
    if (user.find_first_of("/:@ ") != user.npos) return at;
    const auto rest = text.substr(at, text.find_first_of("/?# \"'\n", at) - at);
    const auto last = rest.rfind('@');
    return last == rest.npos ? at : at + last;
  }
  return at;
}

}  // namespace

std::optional<std::string> redacted(std::string_view text) {
  std::optional<std::string> out;
  std::size_t copied = 0;
  // A secret begins behind one of these.
  static constexpr std::string_view kMarks = "_=: ";
  for (auto at = text.find_first_of(kMarks); at != text.npos; at = text.find_first_of(kMarks, at)) {
    ++at;
    const auto end = end_of_secret(text, at);
    if (end == at) continue;
    if (!out) out.emplace();
    out->append(text.substr(copied, at - copied)).append(kStars);
    copied = at = end;
  }
  if (out) out->append(text.substr(copied));
  return out;
}

}  // namespace wrenn::log
