// What tells one clone of a snapshot from the other: name, marker files, machine id, host keys, time, random
// numbers. Functions on the machine itself: envd calls them inside a guest only. But for make_ssh_host_keys()
// they write some lines into the page cache at most. What stays the same in all clones is the kernel's
// boot_id
// (/proc/sys/kernel/random/boot_id), which nothing but a boot changes, and what programs keep in their own
// memory: those that run in a snapshot must ask the kernel for random numbers anew.
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

// 32 lower-case hex digits, as machine-id(5) has it.
bool is_machine_id(std::string_view id) noexcept;
// `id` in /etc/machine-id below `root` ("" for the machine's own), and in the file of D-Bus if it has one.
// False when it was there already. Throws SystemError, Error.
bool set_machine_id(const std::string& root, const std::string& id);

// Removes the keys that a server for SSH shows to its clients: whoever shared the snapshot has them too.
// False when there are none. Throws SystemError.
bool remove_ssh_host_keys(const std::string& root);
// New ones of every kind, by ssh-keygen. Takes seconds. Throws SystemError (not_found: it is not installed),
// Error.
void make_ssh_host_keys();

// Sets the real-time clock when it is further than limits::kClockTolerance from `host_time`. Returns by how
// much it was off, in microseconds (guest minus host). Throws SystemError.
std::int64_t adjust_clock(UnixTime host_time);

// Mixes `seed` into the kernel's generator, credited as full entropy, and has it make new keys at once.
// Throws SystemError.
void reseed_random(std::string_view seed);

}  // namespace wrenn::envd
