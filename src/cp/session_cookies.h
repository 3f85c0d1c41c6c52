// The cookies of a browser's session.
#pragma once

#include "core/http/reply.h"
#include "cp/client_origin.h"

namespace wrenn::cp {

// Adds both cookies to the answer.
void set_session_cookies(http::Reply& reply, std::string_view token, const ClientOrigin& origin);
void clear_session_cookies(http::Reply& reply, const ClientOrigin& origin);

}  // namespace wrenn::cp
