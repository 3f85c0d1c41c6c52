// Secrets that got into a text of the log all the same: an error that repeats a URL, a program that repeats
// its input. A net below the rule that no secret is ever a field (log.h), not in its place.
//
//   wrn_0123…, e2b_0123…              keys of teams (32 hexadecimal digits or more)
//   ?token=…, &code=…, password=…     values whose name says that they are secret
//   scheme://user:password@host       the password
//   Bearer …, Basic …                 credentials of HTTP
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wrenn::log {

// The text with "***" in place of secrets; absent if there are none. Throws std::bad_alloc.
std::optional<std::string> redacted(std::string_view text);

}  // namespace wrenn::log
