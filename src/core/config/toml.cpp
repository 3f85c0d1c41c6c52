#include "core/config/toml.h"

#include <toml++/toml.h>

#include <algorithm>

#include "core/base/error.h"

namespace wrenn::config {

namespace {

bool is_bare_key(std::string_view key) noexcept {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

TomlEntry::Value value_of(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* number = node.as_integer()) return std::int64_t{number->get()};
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* array = node.as_array()) {
    std::vector<std::string> texts;
    for (const auto& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return TomlEntry::Other{"an array with other things than strings"};
      texts.push_back(text->get());
    }
    return texts;
  }
  return TomlEntry::Other{"a date or time"};
}

void flatten(const toml::table& table, const std::string& prefix, std::vector<TomlEntry>& out) {
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    std::string path = prefix + (is_bare_key(name) ? std::string(name) : quote_toml(name));
    const int line = static_cast<int>(key.source().begin.line);
    if (const auto* inner = node.as_table()) {
      out.push_back({path, TomlEntry::Table{}, line});
      flatten(*inner, path + ".", out);
    } else {
      out.push_back({std::move(path), value_of(node), line});
    }
  }
}

}  // namespace

std::vector<TomlEntry> parse_toml(std::string_view text, std::string_view name) {
  std::vector<TomlEntry> out;
  try {
    const toml::table document = toml::parse(text, name);
    flatten(document, "", out);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    throw_error(ErrorCode::invalid_argument, "{}:{}:{}: not valid TOML: {}", name, at.line, at.column,
                error.description());
  }
  return out;
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

}  // namespace wrenn::config
