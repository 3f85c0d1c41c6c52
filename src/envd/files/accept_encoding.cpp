#include "envd/files/accept_encoding.h"

#include <algorithm>

#include "core/base/text.h"

namespace wrenn::envd::files {

namespace {

constexpr int kFull = 1000;

// "q=0.5" → 500, by thousandths as the grammar has them; absent when malformed.
std::optional<int> weight_of(std::string_view parameter) {
  const auto equals = parameter.find('=');
  if (equals == std::string_view::npos || !equals_ignoring_case(trim(parameter.substr(0, equals)), "q"))
    return std::nullopt;
  const std::string_view text = trim(parameter.substr(equals + 1));
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = (text[0] - '0') * kFull;
  int unit = kFull / 10;
  for (const char digit : text.substr(std::min<std::size_t>(text.size(), 2))) {
    if (digit < '0' || digit > '9') return std::nullopt;
    weight += (digit - '0') * unit;
    unit /= 10;
  }
  if (weight > kFull) return std::nullopt;
  return weight;
}

}  // namespace

AcceptedCodings accepted_codings(std::optional<std::string_view> field) {
  AcceptedCodings accepted;
  if (!field) return accepted;
  std::optional<int> identity, gzip, others;
  for (const std::string_view item : split(*field, ',')) {
    const auto semicolon = item.find(';');
    const std::string_view coding = trim(item.substr(0, semicolon));
    const auto weight = semicolon == std::string_view::npos ? kFull : weight_of(item.substr(semicolon + 1));
    if (!weight) continue;
    if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) gzip = weight;
    if (equals_ignoring_case(coding, "identity")) identity = weight;
    if (coding == "*") others = weight;
  }
  const int gzip_weight = gzip.value_or(others.value_or(0));
  // Identity is fine unless it is excluded, but the least of what is asked for.
  const bool is_excluded = identity.value_or(others.value_or(kFull)) == 0;
  accepted.gzip = gzip_weight > 0;
  accepted.identity = !is_excluded;
  accepted.prefers_gzip = accepted.gzip && gzip_weight >= identity.value_or(0);
  return accepted;
}

}  // namespace wrenn::envd::files
