// Time. Durations inside the process use the steady clock; the wall clock is only for what leaves it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wrenn {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

// Microseconds since the Unix epoch, the unit of every time in the database.
struct UnixTime {
  std::int64_t us = 0;
  auto operator<=>(const UnixTime&) const = default;
  std::int64_t seconds() const noexcept { return us / 1'000'000; }
};

UnixTime now() noexcept;

// "2026-05-19T14:23:01Z"; second precision, UTC (spec/rest-api.md §0).
std::string to_rfc3339(UnixTime time);
// Accepts fractions (to microseconds) and numeric offsets; absent if malformed or out of range.
std::optional<UnixTime> parse_rfc3339(std::string_view text);

// Milliseconds since `start`, for durations in logs and answers.
std::int64_t elapsed_ms(SteadyTime start) noexcept;

}  // namespace wrenn
