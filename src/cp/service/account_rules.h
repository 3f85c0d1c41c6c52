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

// Whose attempts are counted together: an IPv4 address itself, and of an IPv6 one the network, for a customer
// is given at least 2^64 of those (RFC 6177 §2). What is no address stays as it is. Does not throw.
std::string network_of(std::string_view address);

}  // namespace wrenn::cp::service
