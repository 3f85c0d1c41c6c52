#include "envd/files/range.h"

#include <algorithm>

#include "core/base/text.h"

namespace wrenn::envd::files {

Selection select_range(std::optional<std::string_view> field, std::uint64_t size) noexcept {
  const Selection whole{Selection::Kind::whole, {0, size}};
  const Selection unsatisfiable{Selection::Kind::unsatisfiable, {}};
  constexpr std::string_view kUnit = "bytes=";
  if (!field || field->size() < kUnit.size() || !equals_ignoring_case(field->substr(0, kUnit.size()), kUnit))
    return whole;
  const std::string_view spec = trim(field->substr(kUnit.size()));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first = parse_int<std::uint64_t>(spec.substr(0, dash));
  const auto last = parse_int<std::uint64_t>(spec.substr(dash + 1));
  if (dash == 0) {  // the last N bytes
    if (!last) return whole;
    if (*last == 0 || size == 0) return unsatisfiable;
    const std::uint64_t length = std::min(*last, size);
    return {Selection::Kind::part, {size - length, length}};
  }
  const bool open_end = dash + 1 == spec.size();
  if (!first || (!open_end && (!last || *last < *first))) return whole;
  if (*first >= size) return unsatisfiable;
  const std::uint64_t end = open_end ? size - 1 : std::min(*last, size - 1);
  return {Selection::Kind::part, {*first, end - *first + 1}};
}

}  // namespace wrenn::envd::files
