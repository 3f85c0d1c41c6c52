#include <charconv>

#include "agent/template/catalogue.h"

namespace wrenn::agent::templates {

namespace {

// Takes the next number off `text`; 0 when there is none left. A number too large for 64 bits counts as the
// largest.
std::uint64_t take_number(std::string_view& text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) value = UINT64_MAX;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.size() > 1 && text.front() == '.' && text[1] >= '0' && text[1] <= '9') text.remove_prefix(1);
  return value;
}

bool at_number(std::string_view text) noexcept {
  return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) noexcept {
  while (at_number(a) || at_number(b)) {
    const std::uint64_t left = at_number(a) ? take_number(a) : 0;
    const std::uint64_t right = at_number(b) ? take_number(b) : 0;
    if (left != right) return left < right ? -1 : 1;
  }
  return a.compare(b);
}

}  // namespace wrenn::agent::templates
