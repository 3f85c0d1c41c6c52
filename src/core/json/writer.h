// json::Writer: appends JSON to a string. The caller opens and closes; commas are the writer's business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/value.h"

namespace wrenn::json {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void begin_object();
  void end_object();
  void begin_array();
  void end_array();
  void key(std::string_view name);

  void null();
  void value(bool flag);
  void value(std::int64_t number);
  void value(std::uint64_t number);
  void value(int number) { value(static_cast<std::int64_t>(number)); }
  void value(unsigned number) { value(static_cast<std::uint64_t>(number)); }
  void value(double number);  // not finite → null
  // Malformed UTF-8 becomes U+FFFD.
  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(const Value& any);
  // base64 (standard, padded) of `bytes` as a string: `bytes` fields of Connect's JSON mapping.
  void base64(std::string_view bytes);
  // Already JSON.
  void raw(std::string_view json);

  template <typename T>
  void member(std::string_view name, const T& any) {
    key(name);
    value(any);
  }

 private:
  void separate();

  std::string& out_;
  bool need_comma_ = false;
};

// Appends `text` as a JSON string with quotes.
void append_string(std::string& out, std::string_view text);

}  // namespace wrenn::json
