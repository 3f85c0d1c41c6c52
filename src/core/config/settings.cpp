#include "core/config/settings.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"

namespace wrenn::config {

namespace {

constexpr std::size_t kFileBytes = 1024 * 1024;  // a configuration file; anything larger is a mistaken path
constexpr std::size_t kShownBytes = 80;          // of a refused value in a message

// Throws SystemError, or Error(too_large).
std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_errno("open {}", path);
  const ScopeGuard close_it([fd] { ::close(fd); });
  std::string text;
  char buffer[16 * 1024];
  for (;;) {
    const auto count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read {}", path);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kFileBytes)
      throw_error(ErrorCode::too_large, "{} is larger than {} bytes", path, kFileBytes);
  }
}

std::string shown(std::string_view text) {
  const bool cut = text.size() > kShownBytes;
  return quote_toml(sanitize_utf8(text.substr(0, kShownBytes))) + (cut ? "…" : "");
}

std::string shown_value(const TomlEntry::Value& value) {
  struct Visitor {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(const std::string& text) const { return shown(text); }
    std::string operator()(const std::vector<std::string>&) const { return "an array"; }
    std::string operator()(const TomlEntry::Table&) const { return "a table"; }
    std::string operator()(const TomlEntry::Other& other) const { return other.what; }
  };
  return std::visit(Visitor{}, value);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (c == '.' || c == '-') c = '_';
  }
  return out;
}

bool is_setting_key(std::string_view key) noexcept {
  return !key.empty() && key.front() != '.' && key.back() != '.' &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
         });
}

// "database" for "database.url"; empty for a key at the top.
std::string_view table_of(std::string_view key) noexcept {
  const auto dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

bool lies_in(std::string_view key, std::string_view table) noexcept {
  return key.size() > table.size() && key.starts_with(table) && key[table.size()] == '.';
}

std::string_view last_part(std::string_view key) noexcept {
  return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

}  // namespace

Settings::Field& Settings::Field::env(std::string variable) {
  if (!own_variables_) variables_.clear();
  own_variables_ = true;
  variables_.push_back(std::move(variable));
  return *this;
}

Settings::Field& Settings::Field::required(std::string why) {
  required_ = true;
  why_required_ = std::move(why);
  return *this;
}

std::string Settings::Field::flag() const {
  std::string out = "--" + key_;
  for (char& c : out)
    if (c == '.' || c == '_') c = '-';
  return out;
}

Settings::Settings(std::string role) : role_(std::move(role)) {}

Settings::Field* Settings::find(std::string_view key) noexcept {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.key_ == key; });
  return found == fields_.end() ? nullptr : &*found;
}

Settings::Field& Settings::add(std::string key, std::string help) {
  WRENN_CHECK(is_setting_key(key));
  WRENN_CHECK(find(key) == nullptr);
  auto& field = fields_.emplace_back();
  field.variables_.push_back("WRENN_" + upper(key));
  field.key_ = std::move(key);
  field.help_ = std::move(help);
  return field;
}

void Settings::ignore_table(std::string name) {
  ignored_tables_.push_back(std::move(name));
}

void Settings::rule(std::function<std::optional<std::string>()> check) {
  rules_.push_back(std::move(check));
}

bool Settings::is_table(std::string_view key) const noexcept {
  return std::any_of(fields_.begin(), fields_.end(), [&](const Field& f) { return lies_in(f.key_, key); });
}

std::string Settings::suggestion(std::string_view key) const {
  std::vector<std::string> known;
  for (const auto& field : fields_) {
    known.push_back(field.key_);
    if (const auto table = table_of(field.key_); !table.empty()) known.emplace_back(table);
  }
  if (const auto near = closest(key, known)) return fmt::format("; did you mean \"{}\"?", *near);
  // The right name in the wrong table.
  for (const auto& field : fields_)
    if (last_part(field.key_) == last_part(key)) return fmt::format("; did you mean \"{}\"?", field.key_);
  return "; --print-config shows all settings";
}

void Settings::load_entry(const TomlEntry& entry, const std::string& where) {
  auto* field = find(entry.key);
  if (field == nullptr && is_table(entry.key)) {
    problem(fmt::format("{}: {}: expected a table, got {}", where, entry.key, shown_value(entry.value)));
    return;
  }
  if (field == nullptr) {
    problem(fmt::format("{}: \"{}\" is not a setting{}", where, entry.key, suggestion(entry.key)));
    return;
  }
  field->origin_ = where;  // also of a bad value: it is there, so "required" would mislead
  if (const auto expected = field->read_toml_(entry.value)) {
    const auto got = field->secret_ ? std::string("something else") : shown_value(entry.value);
    problem(fmt::format("{}: {}: expected {}, got {}", where, entry.key, *expected, got));
  }
}

void Settings::load_file(const Sources& sources) {
  if (sources.file.empty()) return;
  std::vector<TomlEntry> entries;
  try {
    entries = parse_toml(read_file(sources.file), sources.file);
  } catch (const Error& error) {
    if (!(sources.file_optional && error.code() == ErrorCode::not_found)) problem(error.what());
    return;
  }

  std::vector<std::string> skipped = ignored_tables_;
  std::multimap<int, const TomlEntry*> chosen;  // by line, so that problems come in the order of the file
  for (const auto& entry : entries) {
    if (std::any_of(skipped.begin(), skipped.end(), [&](const std::string& table) {
          return entry.key == table || lies_in(entry.key, table);
        }))
      continue;
    if (std::holds_alternative<TomlEntry::Table>(entry.value)) {
      if (is_table(entry.key)) continue;
      skipped.push_back(entry.key);  // one problem for an unknown table, not one for each of its keys
    }
    chosen.emplace(entry.line, &entry);
  }
  for (const auto& [line, entry] : chosen) load_entry(*entry, fmt::format("{}:{}", sources.file, line));
}

void Settings::load_environment(const Environment& environment) {
  for (auto& field : fields_) {
    for (const auto& variable : field.variables_) {
      const auto text = environment(variable);
      if (!text) continue;
      field.origin_ = "environment " + variable;
      if (const auto expected = field.read_text_(*text)) {
        const auto got = field.secret_ ? std::string("something else") : shown(*text);
        problem(fmt::format("environment {}: expected {}, got {}", variable, *expected, got));
      }
      break;
    }
  }
}

void Settings::load_flags(const Sources& sources) {
  for (const auto& [key, text] : sources.flags) {
    auto* field = find(key);
    if (field == nullptr) {
      problem(fmt::format("flag for \"{}\": not a setting{}", key, suggestion(key)));
    } else if (field->secret_) {
      problem(fmt::format(
          "{}: a secret may not stand on the command line, where every user can read it; use {} or the "
          "configuration file",
          field->flag(), field->variables_.front()));
    } else {
      field->origin_ = "flag " + field->flag();
      if (const auto expected = field->read_text_(text))
        problem(fmt::format("{}: expected {}, got {}", field->flag(), *expected, shown(text)));
    }
  }
}

void Settings::load(const Sources& sources) {
  problems_.clear();
  load_file(sources);
  load_environment(sources.environment);
  load_flags(sources);
  for (const auto& field : fields_) {
    if (!field.required_ || field.origin_ != "default") continue;
    const auto flag = field.secret_ ? std::string() : " or " + field.flag();
    problem(fmt::format("{} is required {}; set it in the configuration file or by {}{}", field.key_,
                        field.why_required_, field.variables_.front(), flag));
  }
  if (problems_.empty()) {
    for (const auto& check : rules_)
      if (auto wrong = check()) problem(std::move(*wrong));
  }
  if (problems_.empty()) return;
  if (problems_.size() == 1)
    throw Error(ErrorCode::invalid_argument, "settings of " + role_ + ": " + problems_[0]);
  throw_error(ErrorCode::invalid_argument, "settings of {}: {} problems:\n  {}", role_, problems_.size(),
              join(problems_, "\n  "));
}

std::string Settings::print() const {
  std::string out = fmt::format("# Settings of {} in effect.\n", role_);
  // Keys of the top come first: after a table header TOML would count them to that table.
  std::vector<std::string_view> tables = {""};
  for (const auto& field : fields_)
    if (std::find(tables.begin(), tables.end(), table_of(field.key_)) == tables.end())
      tables.push_back(table_of(field.key_));
  for (const auto table : tables) {
    if (!table.empty()) out += fmt::format("\n[{}]\n", table);
    for (const auto& field : fields_) {
      if (table_of(field.key_) != table) continue;
      out += fmt::format("\n# {}\n{}{} = {}  # {}\n", field.help_, field.secret_ ? "# " : "",
                         last_part(field.key_), field.show_(), field.origin_);
    }
  }
  return out;
}

}  // namespace wrenn::config
