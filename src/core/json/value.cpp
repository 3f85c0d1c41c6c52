#include "core/json/value.h"

#include <cmath>

namespace wrenn::json {

std::optional<bool> Value::as_bool() const noexcept {
  if (const auto* flag = std::get_if<bool>(&data_)) return *flag;
  return std::nullopt;
}

std::optional<std::int64_t> Value::as_int64() const noexcept {
  if (const auto* number = std::get_if<std::int64_t>(&data_)) return *number;
  if (const auto* number = std::get_if<double>(&data_)) {
    // 2^63 is exact as a double; anything below it that is integral fits.
    if (std::trunc(*number) == *number && *number >= -9223372036854775808.0 && *number < 9223372036854775808.0)
      return static_cast<std::int64_t>(*number);
  }
  return std::nullopt;
}

std::optional<double> Value::as_double() const noexcept {
  if (const auto* number = std::get_if<double>(&data_)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&data_)) return static_cast<double>(*number);
  return std::nullopt;
}

const Value* Value::find(std::string_view key) const noexcept {
  const auto* object = as_object();
  if (object == nullptr) return nullptr;
  for (auto member = object->rbegin(); member != object->rend(); ++member)
    if (member->first == key) return &member->second;
  return nullptr;
}

std::string_view Value::text_of(std::string_view key) const noexcept {
  const auto* value = find(key);
  const auto* text = value ? value->as_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

}  // namespace wrenn::json
