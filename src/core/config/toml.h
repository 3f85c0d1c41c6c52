// A TOML document as a flat list of dotted keys, which is all that settings need.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wrenn::config {

struct TomlEntry {
  struct Table {};
  // A value that no setting can have: "a date", "an array with other things than strings".
  struct Other {
    std::string what;
  };
  using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, Table, Other>;

  std::string key;  // "listen", "database.url"; parts with dots or quotes keep their quotes
  Value value;
  int line = 0;
};

// Tables stand before what they contain; otherwise in the order of keys. Throws Error(invalid_argument) with
// `name`, line and column when `text` is not TOML 1.0.
std::vector<TomlEntry> parse_toml(std::string_view text, std::string_view name);

// `text` as a TOML basic string with its quotes; noexcept apart from memory.
std::string quote_toml(std::string_view text);

}  // namespace wrenn::config
