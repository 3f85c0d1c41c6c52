// Message heads as bytes, for the server and the client. Names and values need no check here: Headers has
// made it.
#pragma once

#include <string>
#include <string_view>

#include "core/http/headers.h"

namespace wrenn::http {

void append_status_line(std::string& out, int status);  // "HTTP/1.1 200 OK\r\n"
void append_field(std::string& out, std::string_view name, std::string_view value);
void append_length(std::string& out, std::uint64_t length);  // the Content-Length field
// "Date: …" of now, formatted once a second.
void append_date(std::string& out);
// The size line of a chunk: "1f4\r\n".
void append_chunk_size(std::string& out, std::size_t size);

// Fields that say how this message is framed or this connection is kept; whoever writes a head decides about
// them.
bool is_framing_field(std::string_view name) noexcept;

}  // namespace wrenn::http
