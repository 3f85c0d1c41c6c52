#include "core/json/writer.h"

#include <fmt/format.h>

#include <cmath>

#include "core/base/codec.h"
#include "core/base/text.h"

namespace wrenn::json {

void append_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  if (!is_valid_utf8(text)) return append_string(out, sanitize_utf8(text));
  out += '"';
  std::size_t plain = 0;  // start of the run that needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (byte) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void Writer::separate() {
  if (need_comma_) out_ += ',';
  need_comma_ = true;
}

void Writer::begin_object() {
  separate();
  out_ += '{';
  need_comma_ = false;
}
void Writer::end_object() {
  out_ += '}';
  need_comma_ = true;
}
void Writer::begin_array() {
  separate();
  out_ += '[';
  need_comma_ = false;
}
void Writer::end_array() {
  out_ += ']';
  need_comma_ = true;
}
void Writer::key(std::string_view name) {
  separate();
  append_string(out_, name);
  out_ += ':';
  need_comma_ = false;
}
void Writer::null() { raw("null"); }
void Writer::value(bool flag) { raw(flag ? "true" : "false"); }
void Writer::value(std::int64_t number) { raw(fmt::format_int(number).c_str()); }
void Writer::value(std::uint64_t number) { raw(fmt::format_int(number).c_str()); }
void Writer::value(double number) {
  if (!std::isfinite(number)) return null();
  raw(fmt::format("{}", number));
}
void Writer::value(std::string_view text) {
  separate();
  append_string(out_, text);
}
void Writer::base64(std::string_view bytes) {
  separate();
  out_ += '"';
  base64_append(out_, bytes);
  out_ += '"';
}
void Writer::raw(std::string_view json) {
  separate();
  out_ += json;
}

void Writer::value(const Value& any) {
  if (const auto* array = any.as_array()) {
    begin_array();
    for (const auto& item : *array) value(item);
    end_array();
  } else if (const auto* object = any.as_object()) {
    begin_object();
    for (const auto& [name, item] : *object) member(name, item);
    end_object();
  } else if (const auto* text = any.as_string()) {
    value(std::string_view(*text));
  } else if (const auto* flag = std::get_if<bool>(&any.data_)) {
    value(*flag);
  } else if (const auto* integer = std::get_if<std::int64_t>(&any.data_)) {
    value(*integer);
  } else if (const auto* big = std::get_if<std::uint64_t>(&any.data_)) {
    value(*big);
  } else if (const auto* number = std::get_if<double>(&any.data_)) {
    value(*number);
  } else {
    null();
  }
}

}  // namespace wrenn::json
