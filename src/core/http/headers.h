// Header fields in order of arrival; names compare without case. Values are trimmed and hold no control
// characters but tab (the parser refuses them; set() and add() do too, with Error(invalid_argument): no
// response splitting).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wrenn::http {

class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  Headers() = default;
  Headers(std::initializer_list<Field> fields);  // throws as add()

  std::optional<std::string_view> get(std::string_view name) const noexcept;  // the first of that name
  std::vector<std::string_view> all(std::string_view name) const;
  bool has(std::string_view name) const noexcept { return get(name).has_value(); }
  // True if the comma-separated list in the fields of that name contains `token` (no case): Connection,
  // Upgrade.
  bool has_token(std::string_view name, std::string_view token) const noexcept;
  // Both trim the value and throw Error(invalid_argument) if the name is no token or the value has control
  // characters.
  void set(std::string_view name, std::string_view value);  // replaces all of that name
  void add(std::string_view name, std::string_view value);
  void remove(std::string_view name) noexcept;
  const std::vector<Field>& fields() const noexcept { return fields_; }
  void clear() noexcept { fields_.clear(); }

 private:
  friend class FieldReader;  // the parser, which has checked already
  void add_checked(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  std::vector<Field> fields_;
};

}  // namespace wrenn::http
