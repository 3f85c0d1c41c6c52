#include "agent/vmm/qmp_message.h"

#include "agent/vmm/limits.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

namespace wrenn::agent::vmm {

namespace {

constexpr std::size_t kFailureTextBytes = 1024;  // of what QEMU says

std::optional<json::Value> parse_object(std::string_view line) {
  try {
    json::Value value = json::parse(line, limits::kQmpDepth);
    if (value.is_object()) return value;
  } catch (const Error&) {
    // Malformed input is absence here, not failure.
  }
  return std::nullopt;
}

json::Value copy_of(const json::Value* value) {
  return value == nullptr ? json::Value() : *value;
}

}  // namespace

std::string qmp_object(std::initializer_list<std::pair<std::string_view, json::Value>> members) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  for (const auto& [name, value] : members) writer.member(name, value);
  writer.end_object();
  return text;
}

std::optional<QmpMessage> parse_qmp(std::string_view line) {
  const auto value = parse_object(line);
  if (!value) return std::nullopt;
  QmpMessage message;
  if (const json::Value* greeting = value->find("QMP")) {
    if (!greeting->is_object()) return std::nullopt;
    message.kind = QmpMessage::Kind::greeting;
    message.data = *greeting;
    return message;
  }
  if (const json::Value* event = value->find("event")) {
    if (!event->is_string()) return std::nullopt;
    message.kind = QmpMessage::Kind::event;
    message.text = *event->as_string();
    message.data = copy_of(value->find("data"));
    return message;
  }
  if (const json::Value* id = value->find("id")) message.id = id->as_int64().value_or(-1);
  if (const json::Value* failure = value->find("error")) {
    if (!failure->is_object()) return std::nullopt;
    message.kind = QmpMessage::Kind::failure;
    message.text = sanitize_utf8(failure->text_of("desc").substr(0, kFailureTextBytes));
    return message;
  }
  if (const json::Value* answer = value->find("return")) {
    message.kind = QmpMessage::Kind::answer;
    message.data = *answer;
    return message;
  }
  return std::nullopt;
}

bool LineSplitter::add(std::string_view bytes) {
  if (overflow_) return false;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
  }
  buffer_ += bytes;
  // Only the line that is still open can be too long: those that ended were shorter than what came in one
  // piece.
  const std::size_t last_end = buffer_.rfind('\n');
  const std::size_t open = last_end == std::string::npos ? buffer_.size() : buffer_.size() - last_end - 1;
  overflow_ = open > max_line_bytes_ || buffer_.size() > max_line_bytes_ + bytes.size();
  return !overflow_;
}

std::optional<std::string> LineSplitter::next() {
  if (overflow_) return std::nullopt;
  const std::size_t end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  std::string line = buffer_.substr(begin_, end - begin_);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  begin_ = scanned_ = end + 1;
  return line;
}

}  // namespace wrenn::agent::vmm
