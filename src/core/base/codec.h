// Text encodings. Decoders are strict and return absent on malformed input; none throws but for memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wrenn {

std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);  // either case

// RFC 4648 §4 with padding.
std::string base64_encode(std::string_view bytes);
void base64_append(std::string& out, std::string_view bytes);
std::string base64_encode_unpadded(std::string_view bytes);
// Standard or URL-safe alphabet, with or without padding (what Connect's JSON mapping asks to accept).
std::optional<std::string> base64_decode(std::string_view text);

// Percent-encoding of RFC 3986; `plus_is_space` for query strings and forms.
std::string percent_encode(std::string_view text);            // keeps unreserved characters
std::string percent_encode_path(std::string_view text);       // also keeps '/'
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

}  // namespace wrenn
