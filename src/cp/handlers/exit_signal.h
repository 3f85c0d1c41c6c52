// The signal in a guest's end status.
#pragma once

#include <optional>
#include <string_view>

namespace wrenn::cp::handlers {

// "signal: killed" → 9, "signal: segmentation fault (core dumped)" → 11, "signal: signal 34" → 34; absent
// otherwise.
std::optional<int> signal_of_status(std::string_view status) noexcept;

}  // namespace wrenn::cp::handlers
