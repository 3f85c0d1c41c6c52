#include "core/http/connect_rpc.h"

#include <algorithm>
#include <array>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

namespace wrenn::http {

namespace {

constexpr std::size_t kHeadBytes = 5;  // flags and length of an envelope
constexpr unsigned char kFlagCompressed = 0x01;
constexpr unsigned char kFlagEnd = 0x02;
constexpr std::size_t kBufferBytes = 16 * 1024;
constexpr std::size_t kErrorMessageBytes = 4 * 1024;  // of a peer's message that we repeat

struct Row {
  ErrorCode code;
  std::string_view name;
  int status;
};
// connectrpc.com/docs/protocol, "Error codes". Of two rows with one name the first is what the name means.
constexpr Row kRows[] = {
    {ErrorCode::canceled, "canceled", 499},
    {ErrorCode::unknown, "unknown", 500},
    {ErrorCode::invalid_argument, "invalid_argument", 400},
    {ErrorCode::deadline_exceeded, "deadline_exceeded", 504},
    {ErrorCode::not_found, "not_found", 404},
    {ErrorCode::already_exists, "already_exists", 409},
    {ErrorCode::permission_denied, "permission_denied", 403},
    {ErrorCode::resource_exhausted, "resource_exhausted", 429},
    {ErrorCode::too_large, "resource_exhausted", 429},
    {ErrorCode::failed_precondition, "failed_precondition", 400},
    {ErrorCode::aborted, "aborted", 409},
    {ErrorCode::invalid_argument, "out_of_range", 400},
    {ErrorCode::unimplemented, "unimplemented", 501},
    {ErrorCode::internal, "internal", 500},
    {ErrorCode::unavailable, "unavailable", 503},
    {ErrorCode::data_loss, "data_loss", 500},
    {ErrorCode::unauthenticated, "unauthenticated", 401},
};

const Row* row_of(std::string_view name) noexcept {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.name == name; });
  return row == std::end(kRows) ? nullptr : row;
}

const Row& row_of(ErrorCode code) noexcept {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.code == code; });
  return row == std::end(kRows) ? kRows[1] : *row;  // unknown
}

// `canceled` means in this process that the task itself is asked to stop; a peer must not be able to say so,
// or its caller would end without a word.
ErrorCode code_from_peer(ErrorCode code) noexcept {
  return code == ErrorCode::canceled ? ErrorCode::aborted : code;
}

// Absent when `text` is no JSON value.
std::optional<json::Value> try_parse(std::string_view text) {
  try {
    return json::parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::string presentable(std::string_view text) {
  auto out = sanitize_utf8(trim(text.substr(0, kErrorMessageBytes)));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

int connect_status(ErrorCode code) noexcept {
  return row_of(code).status;
}

ErrorCode connect_code(std::string_view name) noexcept {
  const auto* row = row_of(name);
  return row == nullptr ? ErrorCode::unknown : row->code;
}

ErrorCode connect_code_of_status(int http_status) noexcept {
  switch (http_status) {
    case 400:
      return ErrorCode::internal;
    case 401:
      return ErrorCode::unauthenticated;
    case 403:
      return ErrorCode::permission_denied;
    case 404:
      return ErrorCode::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return ErrorCode::unavailable;
    default:
      return ErrorCode::unknown;
  }
}

std::string connect_error_json(ErrorCode code, std::string_view message) {
  std::string out;
  json::Writer writer(out);
  writer.begin_object();
  writer.member("code", row_of(code).name);
  if (!message.empty()) writer.member("message", message);
  writer.end_object();
  return out;
}

std::string connect_envelope(std::string_view message, unsigned char flags) {
  std::string out;
  out.reserve(kHeadBytes + message.size());
  out += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((message.size() >> shift) & 0xFF);
  out += message;
  return out;
}

Response connect_error(ErrorCode code, std::string_view message) {
  Response response;
  response.status = connect_status(code);
  response.headers.set("Content-Type", kConnectJson);
  response.body = connect_error_json(code, message);
  return response;
}

Error connect_error_of(std::string_view what, int http_status, std::string_view body) {
  const auto value = try_parse(body);
  const bool object = value && value->is_object();
  // A code that is no text (a proxy's 502) counts as none, but its message is kept.
  const auto* row = object ? row_of(value->text_of("code")) : nullptr;
  const auto code = row != nullptr ? code_from_peer(row->code) : connect_code_of_status(http_status);
  auto message = presentable(object ? value->text_of("message") : body);
  if (message.empty())
    message =
        fmt::format("{}: answered with HTTP status {} ({})", what, http_status, reason_phrase(http_status));
  return Error(code, std::move(message));
}

std::optional<Error> connect_end_error(std::string_view end_message) {
  const auto value = try_parse(end_message);
  if (!value || !value->is_object())
    return Error(ErrorCode::internal, "Connect stream: the end message is not a JSON object");
  const auto* error = value->find("error");
  if (error == nullptr || error->is_null()) return std::nullopt;
  const auto code = code_from_peer(connect_code(error->text_of("code")));
  auto message = presentable(error->text_of("message"));
  if (message.empty()) message = fmt::format("the call failed with {}", to_string(code));
  return Error(code, std::move(message));
}

EnvelopeReader::EnvelopeReader(Body& body, std::size_t frame_bytes_max)
    : body_(body),
      max_(frame_bytes_max == 0 ? limits::kConnectFrameBytes : frame_bytes_max),
      buffer_(new char[kBufferBytes]) {}

Task<std::optional<EnvelopeReader::Envelope>> EnvelopeReader::next() {
  const std::span<char> whole(buffer_.get(), kBufferBytes);
  std::array<unsigned char, kHeadBytes> head;
  std::size_t have = 0;
  std::size_t length = 0;
  Envelope envelope;
  while (have < kHeadBytes || envelope.message.size() < length) {
    if (at_ == end_) {
      at_ = 0;
      end_ = co_await body_.read_some(whole);
      if (end_ == 0 && have == 0) co_return std::nullopt;
      if (end_ == 0) throw Error(ErrorCode::invalid_argument, "Connect stream: it ends inside an envelope");
    }
    if (have < kHeadBytes) {
      head[have++] = static_cast<unsigned char>(buffer_[at_++]);
      if (have < kHeadBytes) continue;
      if ((head[0] & kFlagCompressed) != 0)
        throw Error(ErrorCode::invalid_argument,
                    "Connect stream: a compressed envelope, though no compression was agreed");
      if ((head[0] & ~kFlagEnd) != 0)
        throw_error(ErrorCode::invalid_argument, "Connect stream: an envelope with the unknown flags {:#04x}",
                    head[0]);
      envelope.end = (head[0] & kFlagEnd) != 0;
      for (std::size_t i = 1; i < kHeadBytes; ++i) length = length << 8 | head[i];
      if (length > max_)
        throw_error(ErrorCode::too_large, "Connect stream: an envelope of {} bytes; at most {} are allowed",
                    length, max_);
    } else {
      const auto count = std::min(length - envelope.message.size(), end_ - at_);
      envelope.message.append(buffer_.get() + at_, count);
      at_ += count;
    }
  }
  co_return envelope;
}

Task<> ConnectStream::write(std::string_view envelope) {
  if (!writer_) {
    Headers fields;
    fields.set("Content-Type", kConnectStreamJson);
    writer_ = co_await reply_.stream(200, std::move(fields));
  }
  co_await writer_->write(envelope);
}

Task<> ConnectStream::send(std::string_view json) {
  const auto envelope = connect_envelope(json);
  co_await write(envelope);
}

Task<> ConnectStream::end() {
  const auto envelope = connect_envelope("{}", kFlagEnd);
  co_await write(envelope);
  co_await writer_->finish();
}

Task<> ConnectStream::fail(ErrorCode code, std::string_view message) {
  const auto envelope = connect_envelope("{\"error\":" + connect_error_json(code, message) + "}", kFlagEnd);
  co_await write(envelope);
  co_await writer_->finish();
}

}  // namespace wrenn::http
