#include "core/http/sse.h"

#include "core/base/error.h"

namespace wrenn::http {

namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += '\n';
}

// A line break in a one-line field would let its text begin another field.
void check_line(std::string_view name, std::string_view value) {
  constexpr std::string_view kForbidden("\r\n\0", 3);
  if (value.find_first_of(kForbidden) != value.npos)
    throw_error(ErrorCode::invalid_argument, "the {} of a server-sent event must be one line", name);
}

}  // namespace

std::string format_sse(std::string_view event, std::string_view data, std::string_view id) {
  check_line("id", id);
  check_line("event", event);
  std::string out;
  out.reserve(data.size() + event.size() + id.size() + 32);
  if (!id.empty()) append_field(out, "id", id);
  if (!event.empty()) append_field(out, "event", event);
  // CR, LF and CRLF each end a line there, so each must begin a new data field here.
  for (;;) {
    const auto end = data.find_first_of("\r\n");
    append_field(out, "data", data.substr(0, end));
    if (end == data.npos) break;
    data.remove_prefix(data.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
  }
  out += '\n';
  return out;
}

Task<std::unique_ptr<BodyWriter>> begin_sse(Reply& reply) {
  Headers fields;
  fields.set("Content-Type", kEventStream);
  fields.set("Cache-Control", "no-cache");
  fields.set("X-Accel-Buffering", "no");  // nginx would hold events back until its buffer is full
  co_return co_await reply.stream(200, std::move(fields));
}

}  // namespace wrenn::http
