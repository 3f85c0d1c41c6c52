#include "core/log/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/log/redaction.h"

namespace wrenn::log {

static std::atomic<Level> threshold{Level::info};
static thread_local std::string role_of_thread;

static std::string_view name_of(Level level) noexcept {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warn: return "warn";
    case Level::error: return "error";
  }
  return "error";
}

static void append_json_string(std::string& line, std::string_view text) {
  const auto without_secrets = redacted(text);
  if (without_secrets) text = *without_secrets;
  line += '"';
  for (const char c : is_valid_utf8(text) ? std::string(text) : sanitize_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      line += fmt::format("\\u{:04x}", byte);
    } else {
      line += c;
    }
  }
  line += '"';
}

static void append_value(std::string& line, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value.get())) return append_json_string(line, *text);
  if (const auto* flag = std::get_if<bool>(&value.get())) {
    line += *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<std::int64_t>(&value.get())) {
    line += fmt::format("{}", *number);
  } else {
    line += fmt::format("{:.6g}", std::get<double>(value.get()));
  }
}

static std::string as_json(Level level, std::string_view message, Fields fields) {
  std::string line = fmt::format(R"({{"ts":"{}","level":"{}")", to_rfc3339(now()), name_of(level));
  if (!role_of_thread.empty()) {
    line += ",\"role\":";
    append_json_string(line, role_of_thread);
  }
  line += ",\"msg\":";
  append_json_string(line, message);
  for (const auto& field : fields) {
    line += ',';
    append_json_string(line, field.key);
    line += ':';
    append_value(line, field.value);
  }
  line += "}\n";
  return line;
}

// For people. Text from guests may end up here: control characters are escaped by append_json_string.
static std::string as_text(Level level, std::string_view message, Fields fields) {
  std::string line = fmt::format("{} {:5} ", to_rfc3339(now()).substr(11, 8), name_of(level));
  if (!role_of_thread.empty()) line += fmt::format("{}: ", role_of_thread);
  line += redacted(message).value_or(std::string(message));
  for (const auto& field : fields) {
    line += fmt::format("  {}=", field.key);
    append_value(line, field.value);
  }
  line += '\n';
  return line;
}

// Lines that could not be written (a full disk, a pipe that nobody empties), or not to their end.
static std::atomic<std::int64_t> lost_lines{0};
static std::atomic<bool> torn{false};  // the last one was begun only

static bool put(std::string line) {
  // What was begun must not swallow this one.
  if (torn.load(std::memory_order_relaxed) && torn.exchange(false)) line.insert(line.begin(), '\n');
  ssize_t written = 0;
  do {
    written = ::write(STDERR_FILENO, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return true;
  // Of the line, or of the end of the one before it.
  if (written > 0 || line.front() == '\n') torn = true;
  return false;
}

static void put_or_count(Level level, std::string_view message, Fields fields) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  if (!put(terminal ? as_text(level, message, fields) : as_json(level, message, fields))) {
    ++lost_lines;
    return;
  }
  const auto lost = lost_lines.load(std::memory_order_relaxed) == 0 ? 0 : lost_lines.exchange(0);
  if (lost == 0) return;
  const Fields counted{{"lines", lost}};
  constexpr std::string_view kLost = "lines of the log were lost: they could not be written";
  if (!put(terminal ? as_text(Level::warn, kLost, counted) : as_json(Level::warn, kLost, counted)))
    lost_lines += lost;
}

void write(Level level, std::string_view message, Fields fields) noexcept {
  if (level < threshold.load(std::memory_order_relaxed)) return;
  try {
    put_or_count(level, message, fields);
  } catch (...) {
    // Out of memory while logging: there is nobody to tell.
  }
}

void debug(std::string_view message, Fields fields) noexcept { write(Level::debug, message, fields); }
void info(std::string_view message, Fields fields) noexcept { write(Level::info, message, fields); }
void warn(std::string_view message, Fields fields) noexcept { write(Level::warn, message, fields); }
void error(std::string_view message, Fields fields) noexcept { write(Level::error, message, fields); }

bool set_level(std::string_view name) noexcept {
  for (const auto level : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (name != name_of(level)) continue;
    set_level(level);
    return true;
  }
  return false;
}
void set_level(Level level) noexcept { threshold = level; }
void set_role(std::string_view role) noexcept { role_of_thread = role; }

}  // namespace wrenn::log
