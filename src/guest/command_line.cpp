#include "guest/command_line.h"

#include <optional>

namespace wrenn::guest {

namespace {

std::optional<std::string_view> value_of(std::string_view word, std::string_view key) {
  if (word.size() <= key.size() || !word.starts_with(key) || word[key.size()] != '=') return std::nullopt;
  return word.substr(key.size() + 1);
}

}  // namespace

BootOptions parse_command_line(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  BootOptions options;
  for (auto start = text.find_first_not_of(kBlank); start != std::string_view::npos;
       start = text.find_first_not_of(kBlank)) {
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find_first_of(kBlank));
    text.remove_prefix(word.size());

    if (word == "--") break;  // what follows is for the init program
    if (word == "ro") options.read_only = true;
    if (word == "rw") options.read_only = false;
    if (word == "wrenn.trace") options.trace = true;
    if (const auto value = value_of(word, "root")) options.root = *value;
    if (const auto value = value_of(word, "rootfstype")) options.root_type = *value;
    if (const auto value = value_of(word, "rootflags")) options.root_options = *value;
    if (const auto value = value_of(word, "init")) options.init = *value;
  }
  return options;
}

}  // namespace wrenn::guest
