// What may stand in an account and a team. Pure functions; a table of inputs is their test. All throw
// Error(invalid_argument) with the rule that was broken.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::cp::service {

// Trimmed and lower case: two spellings of an address are one account. It must be LOCAL@DOMAIN without spaces
// and control characters, at most 254 bytes (RFC 5321 §4.5.3.1.3); whether mail arrives there is another
// question.
std::string admit_email(std::string_view email);
// At least 8 bytes (spec/rest-api.md §2.1), at most 1024: what is hashed must be bounded. `field` names it.
void admit_password(std::string_view password, std::string_view field = "password");
// Trimmed, 1–100 bytes of UTF-8 without control characters.
std::string admit_user_name(std::string_view name);
// Trimmed, 1–128 letters, digits, spaces and _ - @ ' (spec/rest-api.md §4).
std::string admit_team_name(std::string_view name);
// A label: trimmed, at most 100 bytes of UTF-8 without control characters. Empty: "Unnamed API Key".
std::string admit_key_name(std::string_view name);

}  // namespace wrenn::cp::service
