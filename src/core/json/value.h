// A JSON value in memory, independent of the text it came from. Objects keep their order; a repeated key keeps the
// last value. Numbers are int64, uint64 (only above int64) or double.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace wrenn::json {

class Value {
 public:
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Object = std::vector<Member>;

  Value() = default;  // null
  Value(bool flag) : data_(flag) {}
  Value(std::int64_t number) : data_(number) {}
  Value(std::uint64_t number) : data_(number) {}
  Value(double number) : data_(number) {}
  Value(std::string text) : data_(std::move(text)) {}
  Value(Array array) : data_(std::move(array)) {}
  Value(Object object) : data_(std::move(object)) {}

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  bool is_object() const noexcept { return std::holds_alternative<Object>(data_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(data_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(data_); }

  // Absent when the value is of another type (as_int64: or out of range; integral doubles count).
  std::optional<bool> as_bool() const noexcept;
  std::optional<std::int64_t> as_int64() const noexcept;
  std::optional<double> as_double() const noexcept;
  const std::string* as_string() const noexcept { return std::get_if<std::string>(&data_); }
  const Array* as_array() const noexcept { return std::get_if<Array>(&data_); }
  const Object* as_object() const noexcept { return std::get_if<Object>(&data_); }

  // Member of an object; null pointer if absent or if this is no object.
  const Value* find(std::string_view key) const noexcept;
  // Text of a string member; empty if absent or of another type.
  std::string_view text_of(std::string_view key) const noexcept;

 private:
  friend class Writer;
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> data_;
};

}  // namespace wrenn::json
