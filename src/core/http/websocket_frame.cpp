#include "core/http/websocket_frame.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/text.h"

namespace wrenn::http {

void apply_mask(std::span<char> data, WebSocketMask mask, std::uint64_t phase) noexcept {
  std::array<unsigned char, 8> rotated;
  for (std::size_t i = 0; i < rotated.size(); ++i) rotated[i] = mask[(phase + i) % mask.size()];
  std::uint64_t word;
  std::memcpy(&word, rotated.data(), sizeof word);
  std::size_t at = 0;
  for (; at + sizeof word <= data.size(); at += sizeof word) {
    std::uint64_t value;
    std::memcpy(&value, data.data() + at, sizeof value);
    value ^= word;
    std::memcpy(data.data() + at, &value, sizeof value);
  }
  for (; at < data.size(); ++at) data[at] = static_cast<char>(data[at] ^ rotated[at % rotated.size()]);
}

WebSocketHead::WebSocketHead(WebSocketOpcode opcode, std::uint64_t length,
                             std::optional<WebSocketMask> mask) noexcept {
  const unsigned mask_bit = mask ? 0x80 : 0;
  const auto put = [this](std::uint64_t byte) { bytes_[size_++] = static_cast<char>(byte); };
  size_ = 0;
  put(0x80 | static_cast<unsigned>(opcode));
  if (length < 126) {
    put(mask_bit | length);
  } else if (length <= 0xFFFF) {
    put(mask_bit | 126);
    put(length >> 8);
    put(length & 0xFF);
  } else {
    put(mask_bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) put((length >> shift) & 0xFF);
  }
  if (mask)
    for (const auto byte : *mask) put(byte);
}

bool is_close_code(unsigned code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

std::string close_payload(unsigned code, std::string_view reason) {
  if (code == kCloseNoCode) return {};
  auto text = sanitize_utf8(reason);
  if (text.size() > kControlPayloadBytes - 2) {
    text.resize(kControlPayloadBytes - 2);
    text.resize(complete_utf8_prefix(text));
  }
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)} + text;
}

bool Utf8Checker::feed(std::string_view piece) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  const char* at = piece.data();
  const char* const end = at + piece.size();
  while (at < end) {
    if (missing_ == 0) {
      std::uint64_t word;
      while (end - at >= static_cast<std::ptrdiff_t>(sizeof word)) {
        std::memcpy(&word, at, sizeof word);
        if ((word & kHighBits) != 0) break;
        at += sizeof word;
      }
      if (at == end) break;
    }
    const auto byte = static_cast<unsigned char>(*at++);
    if (missing_ != 0) {
      if (byte < low_ || byte > high_) return false;
      low_ = 0x80, high_ = 0xBF;
      --missing_;
    } else if (byte >= 0x80) {
      // Lead bytes and the range of the byte that follows: Unicode 15, table 3-7.
      if (byte < 0xC2 || byte > 0xF4) return false;
      missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
      if (byte == 0xE0) low_ = 0xA0;   // no overlong forms
      if (byte == 0xED) high_ = 0x9F;  // no surrogates
      if (byte == 0xF0) low_ = 0x90;
      if (byte == 0xF4) high_ = 0x8F;  // nothing above U+10FFFF
    }
  }
  return true;
}

bool Utf8Checker::finish() noexcept {
  const bool complete = missing_ == 0;
  *this = Utf8Checker();
  return complete;
}

std::optional<WebSocketDecoder::Event> WebSocketDecoder::next(std::span<char>& input) {
  for (;;) {
    if (!in_payload_) {
      while (head_size_ < head_wanted_ && !input.empty()) {
        head_[head_size_++] = static_cast<unsigned char>(input.front());
        input = input.subspan(1);
      }
      if (head_size_ < head_wanted_) return std::nullopt;
      if (auto failure = read_head()) return failure;
      if (!in_payload_) continue;  // the head is longer than known before
    }
    if (auto event = take_payload(input)) return event;
    if (remaining_ > 0) return std::nullopt;
    if (auto event = end_frame()) return event;
  }
}

// Called with the first two bytes and, if these promise more, again with the whole head.
std::optional<WebSocketDecoder::Event> WebSocketDecoder::read_head() {
  const unsigned short_length = head_[1] & 0x7F;
  const std::size_t length_bytes = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  if (head_size_ == 2) {
    fin_ = (head_[0] & 0x80) != 0;
    opcode_ = static_cast<WebSocketOpcode>(head_[0] & 0x0F);
    if ((head_[0] & 0x70) != 0) return fail(kCloseProtocolError, "reserved bits are set");
    if (((head_[1] & 0x80) != 0) != masked_)
      return fail(kCloseProtocolError,
                  masked_ ? "frame of a client without a mask" : "frame of a server with a mask");
    switch (opcode_) {
      case WebSocketOpcode::continuation:
        if (!message_opcode_) return fail(kCloseProtocolError, "continuation of nothing");
        break;
      case WebSocketOpcode::text:
      case WebSocketOpcode::binary:
        if (message_opcode_) return fail(kCloseProtocolError, "new message inside a fragmented one");
        break;
      case WebSocketOpcode::close:
      case WebSocketOpcode::ping:
      case WebSocketOpcode::pong:
        if (!fin_) return fail(kCloseProtocolError, "fragmented control frame");
        if (length_bytes != 0) return fail(kCloseProtocolError, "control frame of more than 125 bytes");
        break;
      default:
        return fail(kCloseProtocolError, "unknown opcode");
    }
    head_wanted_ = 2 + length_bytes + (masked_ ? mask_.size() : 0);
    if (head_wanted_ > 2) return std::nullopt;
  }

  remaining_ = short_length;
  if (length_bytes != 0) {
    remaining_ = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) remaining_ = remaining_ << 8 | head_[2 + i];
    if (remaining_ < 126 || (length_bytes == 8 && remaining_ <= 0xFFFF))
      return fail(kCloseProtocolError, "length is not in its shortest form");
    if (remaining_ >> 63 != 0) return fail(kCloseProtocolError, "length has its highest bit set");
  }
  if (!is_control()) {
    if (remaining_ > message_bytes_max_ - message_.size()) return fail(kCloseTooBig, "message is too big");
    if (opcode_ != WebSocketOpcode::continuation) message_opcode_ = opcode_;
  }
  if (masked_)
    std::copy_n(head_.begin() + 2 + static_cast<std::ptrdiff_t>(length_bytes), mask_.size(), mask_.begin());
  phase_ = 0;
  in_payload_ = true;
  head_size_ = 0;
  head_wanted_ = 2;
  return std::nullopt;
}

std::optional<WebSocketDecoder::Event> WebSocketDecoder::take_payload(std::span<char>& input) {
  const auto piece = input.first(static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, input.size())));
  input = input.subspan(piece.size());
  if (masked_) apply_mask(piece, mask_, phase_);
  phase_ += piece.size();
  remaining_ -= piece.size();
  if (is_control()) {
    control_.append(piece.data(), piece.size());
    return std::nullopt;
  }
  const std::string_view text(piece.data(), piece.size());
  // Bad text is refused as soon as it is seen, not when the message ends (§8.1).
  if (message_opcode_ == WebSocketOpcode::text && !utf8_.feed(text))
    return fail(kCloseBadPayload, "text is not valid UTF-8");
  message_.append(text);
  return std::nullopt;
}

std::optional<WebSocketDecoder::Event> WebSocketDecoder::end_frame() {
  in_payload_ = false;
  switch (opcode_) {
    case WebSocketOpcode::close:
      return end_of_close();
    case WebSocketOpcode::ping:
      return Event{Event::Kind::ping, std::exchange(control_, {})};
    case WebSocketOpcode::pong:
      return Event{Event::Kind::pong, std::exchange(control_, {})};
    default:
      break;
  }
  if (!fin_) return std::nullopt;
  const bool text = message_opcode_ == WebSocketOpcode::text;
  message_opcode_.reset();
  if (text && !utf8_.finish()) return fail(kCloseBadPayload, "text ends inside a UTF-8 character");
  return Event{text ? Event::Kind::text : Event::Kind::binary, std::exchange(message_, {})};
}

WebSocketDecoder::Event WebSocketDecoder::end_of_close() {
  if (control_.empty()) return {Event::Kind::close, {}, kCloseNoCode};
  if (control_.size() == 1) return fail(kCloseProtocolError, "close frame with half a code");
  const auto byte = [this](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(control_[i]));
  };
  const unsigned code = byte(0) << 8 | byte(1);
  if (!is_close_code(code)) return fail(kCloseProtocolError, "close frame with a code that is not allowed");
  control_.erase(0, 2);
  if (!is_valid_utf8(control_)) return fail(kCloseBadPayload, "reason of the close is not valid UTF-8");
  return {Event::Kind::close, std::exchange(control_, {}), code};
}

}  // namespace wrenn::http
