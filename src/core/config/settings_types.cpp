// The types of settings: how each is read from text and from TOML, and shown. A reader returns what it
// expected when it does not accept a value; it must name the expectation also for the empty text (see
// from_string).
#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.h"
#include "core/config/settings.h"
#include "core/config/settings_text.h"

namespace wrenn::config {

namespace {

using Problem = std::optional<std::string>;

// For types whose TOML form is a string with the same syntax as in the environment.
std::function<Problem(const TomlEntry::Value&)> from_string(
    const std::function<Problem(std::string_view)>& read) {
  return [read](const TomlEntry::Value& value) -> Problem {
    if (const auto* text = std::get_if<std::string>(&value)) return read(*text);
    const auto expected = read("");  // the sentence that says what is expected
    return expected ? *expected : "a string in quotes";
  };
}

}  // namespace

Settings::Field& Settings::text(std::string key, std::string& target, std::string help) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target](std::string_view text) -> Problem {
    target = text;
    return std::nullopt;
  };
  field.read_toml_ = [&target](const TomlEntry::Value& value) -> Problem {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return "a string in quotes";
    target = *text;
    return std::nullopt;
  };
  field.show_ = [&target] { return quote_toml(target); };
  return field;
}

Settings::Field& Settings::boolean(std::string key, bool& target, std::string help) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target](std::string_view text) -> Problem {
    const auto flag = read_bool(text);
    if (!flag) return "true or false";
    target = *flag;
    return std::nullopt;
  };
  field.read_toml_ = [&target](const TomlEntry::Value& value) -> Problem {
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) return "true or false, without quotes";
    target = *flag;
    return std::nullopt;
  };
  field.show_ = [&target] { return std::string(target ? "true" : "false"); };
  return field;
}

Settings::Field& Settings::integer(std::string key, std::int64_t& target, std::string help, std::int64_t min,
                                   std::int64_t max) {
  auto& field = add(std::move(key), std::move(help));
  const auto store = [&target, min, max](std::optional<std::int64_t> number) -> Problem {
    if (!number || *number < min || *number > max)
      return fmt::format("a whole number from {} to {}", min, max);
    target = *number;
    return std::nullopt;
  };
  field.read_text_ = [store](std::string_view text) { return store(parse_int<std::int64_t>(trim(text))); };
  field.read_toml_ = [store](const TomlEntry::Value& value) {
    const auto* number = std::get_if<std::int64_t>(&value);
    return store(number != nullptr ? std::optional(*number) : std::nullopt);
  };
  field.show_ = [&target] { return fmt::format("{}", target); };
  return field;
}

Settings::Field& Settings::duration(std::string key, std::chrono::milliseconds& target, std::string help,
                                    std::chrono::milliseconds min, std::chrono::milliseconds max) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target, min, max](std::string_view text) -> Problem {
    const auto value = read_duration(text);
    if (!value || *value < min || *value > max)
      return fmt::format("a duration from {} to {}, such as \"30s\", \"5m\" or \"1h30m\"", duration_text(min),
                         duration_text(max));
    target = *value;
    return std::nullopt;
  };
  field.read_toml_ = from_string(field.read_text_);
  field.show_ = [&target] { return quote_toml(duration_text(target)); };
  return field;
}

Settings::Field& Settings::size_mib(std::string key, std::int64_t& target, std::string help, std::int64_t min,
                                    std::int64_t max) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target, min, max](std::string_view text) -> Problem {
    const auto mib = parse_size_mib(text);
    if (!mib || *mib < min || *mib > max)
      return fmt::format("a size from {}Mi to {}Mi, such as \"512Mi\" or \"5Gi\"", min, max);
    target = *mib;
    return std::nullopt;
  };
  const auto read_text = field.read_text_;
  field.read_toml_ = [read_text](const TomlEntry::Value& value) -> Problem {
    if (const auto* number = std::get_if<std::int64_t>(&value)) return read_text(fmt::format("{}", *number));
    return from_string(read_text)(value);
  };
  field.show_ = [&target] { return quote_toml(fmt::format("{}Mi", target)); };
  return field;
}

Settings::Field& Settings::address(std::string key, std::string& target, std::string help) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target](std::string_view text) -> Problem {
    if (!is_address(text))
      return R"(an address such as ":8000", "127.0.0.1:8000", "[::1]:8000" or "unix:/run/x.sock")";
    target = text;
    return std::nullopt;
  };
  field.read_toml_ = from_string(field.read_text_);
  field.show_ = [&target] { return quote_toml(target); };
  return field;
}

Settings::Field& Settings::list(std::string key, std::vector<std::string>& target, std::string help) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target](std::string_view text) -> Problem {
    target = read_list(text);
    return std::nullopt;
  };
  field.read_toml_ = [&target](const TomlEntry::Value& value) -> Problem {
    const auto* texts = std::get_if<std::vector<std::string>>(&value);
    if (texts == nullptr) return R"(an array of strings, such as ["a", "b"])";
    target = *texts;
    return std::nullopt;
  };
  field.show_ = [&target] {
    std::vector<std::string> quoted;
    for (const auto& item : target) quoted.push_back(quote_toml(item));
    return "[" + join(quoted, ", ") + "]";
  };
  return field;
}

Settings::Field& Settings::one_of(std::string key, std::string& target, std::string help,
                                  std::vector<std::string> words) {
  auto& field = add(std::move(key), std::move(help));
  field.read_text_ = [&target, words = std::move(words)](std::string_view text) -> Problem {
    if (std::find(words.begin(), words.end(), text) == words.end()) return "one of " + join(words, ", ");
    target = text;
    return std::nullopt;
  };
  field.read_toml_ = from_string(field.read_text_);
  field.show_ = [&target] { return quote_toml(target); };
  return field;
}

Settings::Field& Settings::secret(std::string key, Secret& target, std::string help) {
  auto& field = add(std::move(key), std::move(help));
  field.secret_ = true;
  field.read_text_ = [&target](std::string_view text) -> Problem {
    target = Secret(std::string(text));
    return std::nullopt;
  };
  field.read_toml_ = [&target](const TomlEntry::Value& value) -> Problem {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return "a string in quotes";
    target = Secret(*text);
    return std::nullopt;
  };
  field.show_ = [&target] { return std::string(target.empty() ? "\"\"" : "\"********\""); };
  return field;
}

}  // namespace wrenn::config
