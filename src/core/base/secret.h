// A string that must not leak: it is overwritten when it dies and has no path into a log or a formatter.
#pragma once

#include <string>
#include <string_view>

namespace wrenn {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(const Secret&) = default;
  Secret& operator=(Secret&&) noexcept = default;
  ~Secret();

  bool empty() const noexcept { return value_.empty(); }
  // The one way to the text, named so that a reader notices it.
  const std::string& reveal() const noexcept { return value_; }
  // Constant in time for equal lengths.
  bool equals(std::string_view other) const noexcept;

 private:
  std::string value_;
};

// Constant-time comparison of two byte strings (length is not hidden).
bool constant_time_equal(std::string_view a, std::string_view b) noexcept;

}  // namespace wrenn
