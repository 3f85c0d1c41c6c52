// What tells one clone of a snapshot from the other: name, marker files, time, random numbers. Functions on
// the machine itself: envd calls them inside a guest only. All of them block for some file writes at most.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace wrenn::envd {

// sethostname, and the name in /etc/hosts (sudo asks for it). Throws SystemError.
void set_host_name(const std::string& name);
// `hosts` with exactly one line of ours, for `name`. Applying it again changes nothing.
std::string hosts_with(std::string_view hosts, std::string_view name);
// `hosts` with exactly one line of ours for the names that mean the host's collector of events, at `address`.
std::string hosts_with_events(std::string_view hosts, std::string_view address);
// The same in /etc/hosts. Throws SystemError.
void set_events_address(const std::string& address);
// Whether `name` may be a host name: letters, digits, '-' and '.', at most 64, not '-' or '.' at an end.
bool is_host_name(std::string_view name) noexcept;

// `name` ("SANDBOX_ID") with its value in /run/wrenn/.WRENN_SANDBOX_ID and /run/e2b/.E2B_SANDBOX_ID, where
// programs look when they have no environment. Throws SystemError.
void write_marker(std::string_view name, std::string_view value);

// Sets the real-time clock when it is further than limits::kClockTolerance from `host_time`. Returns by how
// much it was off, in microseconds (guest minus host). Throws SystemError.
std::int64_t adjust_clock(UnixTime host_time);

// Mixes `seed` into the kernel's generator, credited as full entropy, and has it make new keys at once.
// Throws SystemError.
void reseed_random(std::string_view seed);

}  // namespace wrenn::envd
