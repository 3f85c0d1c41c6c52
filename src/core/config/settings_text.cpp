#include "core/config/settings_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/base/text.h"

namespace wrenn::config {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr Unit kUnits[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_host_character(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::optional<bool> read_bool(std::string_view text) {
  const auto word = to_lower(trim(text));
  if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
  if (word == "false" || word == "no" || word == "off" || word == "0") return false;
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  text = trim(text);
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  while (!text.empty()) {
    const auto digits = std::find_if_not(text.begin(), text.end(), is_digit) - text.begin();
    const auto number = parse_int<std::int64_t>(text.substr(0, static_cast<std::size_t>(digits)));
    if (!number) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(digits));
    const auto letters =
        static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_digit) - text.begin());
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const Unit& u) { return u.name == text.substr(0, letters); });
    if (unit == std::end(kUnits) || unit->ms >= smallest) return std::nullopt;
    smallest = unit->ms;
    text.remove_prefix(letters);
    std::int64_t part;
    if (__builtin_mul_overflow(*number, unit->ms, &part) || __builtin_add_overflow(total, part, &total))
      return std::nullopt;
  }
  return std::chrono::milliseconds(total);
}

std::string duration_text(std::chrono::milliseconds value) {
  if (value.count() == 0) return "0s";
  std::string out;
  std::int64_t rest = value.count();
  for (const auto& unit : kUnits) {
    if (rest < unit.ms) continue;
    out += fmt::format("{}{}", rest / unit.ms, unit.name);
    rest %= unit.ms;
  }
  return out;
}

bool is_address(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return text.size() > kUnix.size() && text[kUnix.size()] == '/';
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_int<std::uint16_t>(text.substr(colon + 1))) return false;
  auto host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (host.size() < 4 || !host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
    return std::all_of(host.begin(), host.end(),
                       [](char c) { return is_host_character(c) || c == ':' || c == '%'; });
  }
  return std::all_of(host.begin(), host.end(), is_host_character);
}

std::vector<std::string> read_list(std::string_view text) {
  std::vector<std::string> out;
  for (const auto part : split(text, ',')) {
    const auto item = trim(part);
    if (!item.empty()) out.emplace_back(item);
  }
  return out;
}

}  // namespace wrenn::config
