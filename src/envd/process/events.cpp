#include "envd/process/events.h"

#include "core/base/codec.h"
#include "core/json/fields.h"

namespace wrenn::envd::process {

std::string start_event_json(std::uint32_t pid) {
  api::envd::ProcessEventMessage message;
  message.event.start = api::envd::StartEvent{pid};
  return json::to_json(message);
}

std::string data_event_json(const Piece& piece) {
  std::string_view field = "stdout";
  if (piece.channel == Channel::standard_error) field = "stderr";
  if (piece.channel == Channel::terminal) field = "pty";
  std::string text;
  text.reserve(piece.data.size() * 4 / 3 + 64);
  text += R"({"event":{"data":{")";
  text += field;
  text += R"(":")";
  base64_append(text, piece.data);
  text += R"("}}})";
  return text;
}

std::string end_event_json(const api::envd::EndEvent& end) {
  api::envd::ProcessEventMessage message;
  message.event.end = end;
  return json::to_json(message);
}

std::string_view keepalive_event_json() noexcept {
  return R"({"event":{"keepalive":{}}})";
}

}  // namespace wrenn::envd::process
