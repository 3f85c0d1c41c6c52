// Limits of the event stream.
#pragma once

#include <chrono>
#include <cstddef>

namespace wrenn::events::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kNumberedAtOnce = 500;  // events of one transaction of the sequencer
// Readers and the sequencer look without having been told: while words of the database arrive, and while they
// do not.
inline constexpr std::chrono::milliseconds kLookAgain = 15s;
inline constexpr std::chrono::milliseconds kPoll = 500ms;

}  // namespace wrenn::events::limits
