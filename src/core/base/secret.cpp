#include "core/base/secret.h"

#include <string.h>

namespace wrenn {

Secret::~Secret() { explicit_bzero(value_.data(), value_.size()); }

bool Secret::equals(std::string_view other) const noexcept { return constant_time_equal(value_, other); }

bool constant_time_equal(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

}  // namespace wrenn
