// The log: one JSON object a line when standard error is not a terminal, a readable line when it is.
// Levels say who must act: error, an operator now; warn, an operator some day; info, nobody; debug, a developer.
// No secret is ever a field: wrenn::Secret has no conversion to Value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace wrenn::log {

enum class Level { debug, info, warn, error };

class Value {
 public:
  Value(std::string_view text) : value_(text) {}
  Value(const char* text) : value_(std::string_view(text)) {}
  Value(const std::string& text) : value_(std::string_view(text)) {}
  Value(bool flag) : value_(flag) {}
  Value(int number) : value_(static_cast<std::int64_t>(number)) {}
  Value(long number) : value_(static_cast<std::int64_t>(number)) {}
  Value(long long number) : value_(static_cast<std::int64_t>(number)) {}
  Value(unsigned number) : value_(static_cast<std::int64_t>(number)) {}
  Value(unsigned long number) : value_(static_cast<std::int64_t>(number)) {}
  Value(double number) : value_(number) {}
  const auto& get() const noexcept { return value_; }

 private:
  std::variant<std::string_view, bool, std::int64_t, double> value_;
};

// Both live until the end of the log call.
struct Field {
  std::string_view key;
  Value value;
};
using Fields = std::initializer_list<Field>;

// Thread-safe: one write(2) a line. None of these throws. Lines that cannot be written (a full disk) are lost; the first
// that can be is followed by one that counts them, and never stands on the rest of another.
void write(Level level, std::string_view message, Fields fields) noexcept;
void debug(std::string_view message, Fields fields = {}) noexcept;
void info(std::string_view message, Fields fields = {}) noexcept;
void warn(std::string_view message, Fields fields = {}) noexcept;
void error(std::string_view message, Fields fields = {}) noexcept;

// Lines below `level` are dropped; info until set. Absent for an unknown name.
bool set_level(std::string_view name) noexcept;  // debug | info | warn | error
void set_level(Level level) noexcept;
// "role" stands in every line ("cp", "agent", "envd"): set once per thread of a role.
void set_role(std::string_view role) noexcept;

}  // namespace wrenn::log
