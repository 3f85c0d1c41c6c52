#include "cli/table.h"

#include <algorithm>
#include <cstdio>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/json/writer.h"
#include <fmt/format.h>

namespace wrenn::cli {

std::string printable(std::string_view text) {
  std::string out = sanitize_utf8(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return out;
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", printable(row[i]), widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const json::Value& value) {
  std::string text;
  json::Writer writer(text);
  writer.value(value);
  text += '\n';
  print(text);
}

std::string age_of(std::string_view rfc3339) {
  const auto time = parse_rfc3339(rfc3339);
  if (!time) return std::string(rfc3339);
  const std::int64_t seconds = std::max<std::int64_t>(0, now().seconds() - time->seconds());
  struct Unit {
    std::int64_t seconds;
    std::string_view name;
  };
  for (const auto& unit : {Unit{86400, "day"}, Unit{3600, "hour"}, Unit{60, "minute"}}) {
    if (seconds < unit.seconds) continue;
    const auto count = seconds / unit.seconds;
    return fmt::format("{} {}{} ago", count, unit.name, count == 1 ? "" : "s");
  }
  return fmt::format("{} second{} ago", seconds, seconds == 1 ? "" : "s");
}

std::string size_text(double bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

}  // namespace wrenn::cli
