// Server-sent events (WHATWG HTML §9.2): formatting of events onto a streamed answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/http/reply.h"

namespace wrenn::http {

// "id: …\nevent: …\ndata: …\n\n"; data may hold line breaks. Empty id or event are left out. Throws
// Error(invalid_argument) if id or event hold a line break or NUL.
std::string format_sse(std::string_view event, std::string_view data, std::string_view id = {});
inline constexpr std::string_view kSseHeartbeat = ":\n\n";

// Starts the answer with the right fields (no caching, no proxy buffering).
Task<std::unique_ptr<BodyWriter>> begin_sse(Reply& reply);

}  // namespace wrenn::http
