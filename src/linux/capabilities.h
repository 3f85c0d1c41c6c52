// The capabilities of this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::sys {

// Bit n is capability number n of <linux/capability.h>.
using CapabilitySet = std::uint64_t;

// The effective set, from /proc/self/status. Throws SystemError.
CapabilitySet effective_capabilities();
std::optional<CapabilitySet> parse_effective_capabilities(std::string_view status);

// "CAP_NET_ADMIN"; "CAP_41" for a number newer than this program.
std::string capability_name(int number);
// Names of those of `required` (numbers, CAP_*) that `set` lacks.
std::vector<std::string> missing_capabilities(CapabilitySet set, const std::vector<int>& required);

}  // namespace wrenn::sys
