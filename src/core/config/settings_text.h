// The text forms of setting values. Readers return absent on anything they do not accept; nothing here throws
// but for memory.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wrenn::config {

// "true", "false", "yes", "no", "on", "off", "1", "0"; case does not matter.
std::optional<bool> read_bool(std::string_view text);

// A whole number and a unit, "ms", "s", "m", "h" or "d", or several of them, largest first: "90s", "1h30m".
// "0" needs no unit.
std::optional<std::chrono::milliseconds> read_duration(std::string_view text);
std::string duration_text(std::chrono::milliseconds value);  // read_duration() of it gives `value` back

// ":8000", "127.0.0.1:8000", "[::1]:8000", "host.name:8000", "unix:/run/x.sock": the form only, nothing is
// resolved.
bool is_address(std::string_view text);

// "a, b,c" → a b c; empty parts are left out.
std::vector<std::string> read_list(std::string_view text);

}  // namespace wrenn::config
