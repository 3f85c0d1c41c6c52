// The first byte says whether frames must be masked and how the input is cut. However it is cut, the same
// events come out; text is valid UTF-8, nothing is larger than its limit, and memory stays near the size of
// the input.
#include <vector>

#include "core/base/text.h"
#include "core/http/websocket_frame.h"
#include "pieces.h"

using namespace wrenn;
using Kind = http::WebSocketDecoder::Event::Kind;

namespace {

constexpr std::size_t kMessageBytes = 4096;

std::string decode(std::string data, bool masked, std::size_t piece) {
  http::WebSocketDecoder decoder(masked, kMessageBytes);
  std::string out;
  for (std::size_t at = 0; at < data.size(); at += piece) {
    auto input = std::span(data).subspan(at, std::min(piece, data.size() - at));
    while (const auto event = decoder.next(input)) {
      const auto& payload = event->payload;
      switch (event->kind) {
        case Kind::text:
          fuzz::require(is_valid_utf8(payload), "text is UTF-8");
          [[fallthrough]];
        case Kind::binary:
          fuzz::require(payload.size() <= kMessageBytes, "messages keep the limit");
          break;
        case Kind::ping:
        case Kind::pong:
          fuzz::require(payload.size() <= http::kControlPayloadBytes, "control frames are short");
          break;
        case Kind::close:
          fuzz::require(event->code == http::kCloseNoCode || http::is_close_code(event->code),
                        "close codes are legal");
          fuzz::require(is_valid_utf8(payload), "reasons are UTF-8");
          break;
        case Kind::failure:
          fuzz::require(http::is_close_code(event->code), "a failure can be told");
          break;
      }
      out += std::to_string(static_cast<int>(event->kind)) + ":" + std::to_string(event->code) + ":" +
             payload + "|";
      if (event->kind == Kind::failure || event->kind == Kind::close) return out;
    }
    fuzz::require(input.empty(), "all input is taken");
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const bool masked = (bytes[0] & 1) != 0;
  const auto whole = decode(data, masked, data.size() + 1);
  fuzz::require(decode(data, masked, 1 + bytes[0] / 2 % 16) == whole, "pieces do not matter");
  return 0;
}
