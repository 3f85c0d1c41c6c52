// Who may use /files, and as whom: the holder of the access token, or of a URL that was signed with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "envd/auth.h"
#include "envd/defaults.h"

namespace wrenn::envd::files {

enum class Operation { read, write };

// "v1_" and base64 without padding of SHA-256("path:operation:user:token[:expiration]"), the expiration in
// Unix seconds (spec/e2b/envd-api.md §2.3).
std::string signature_of(std::string_view path, Operation operation, std::string_view user,
                         std::string_view token, std::optional<std::int64_t> expiration);

// The user that the request acts as. While no token is set, everybody may. With a token the request needs it
// in its header, or else the query `signature` (and `signature_expiration`, when that was signed too): such a
// request can name its user in the query only, which is what was signed. Throws Error(unauthenticated) with
// texts that clients compare, Error(invalid_argument) for an expiration that is no number, and as
// find_user().
User authorize(const http::Request& request, Operation operation, const AccessToken& token,
               const Defaults& defaults);

}  // namespace wrenn::envd::files
