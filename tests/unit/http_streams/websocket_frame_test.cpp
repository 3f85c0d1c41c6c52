// The tables follow RFC 6455 §5 and §7; the section stands with each.
#include "core/http/websocket_frame.h"

#include <catch2/catch.hpp>
#include <random>

#include "core/base/text.h"

using namespace wrenn;
using namespace wrenn::http;
using Kind = WebSocketDecoder::Event::Kind;

namespace {

constexpr WebSocketMask kMask{0x37, 0xfa, 0x21, 0x3d};  // of the RFC's example

std::string bytes(std::initializer_list<unsigned> list) {
  std::string out;
  for (const auto byte : list) out += static_cast<char>(byte);
  return out;
}

// A frame with any first byte; masked when `masked`.
std::string frame(unsigned first, std::string payload, bool masked) {
  const WebSocketHead head(static_cast<WebSocketOpcode>(0), payload.size(),
                           masked ? std::optional(kMask) : std::nullopt);
  std::string out(head.bytes());
  out[0] = static_cast<char>(first);
  if (masked) apply_mask(payload, kMask, 0);
  return out + payload;
}

// Everything that comes out of `data`, given in pieces of `piece` bytes.
std::vector<WebSocketDecoder::Event> decode(WebSocketDecoder& decoder, std::string data, std::size_t piece) {
  std::vector<WebSocketDecoder::Event> events;
  for (std::size_t at = 0; at < data.size(); at += piece) {
    auto input = std::span(data).subspan(at, std::min(piece, data.size() - at));
    while (auto event = decoder.next(input)) {
      events.push_back(std::move(*event));
      if (events.back().kind == Kind::failure || events.back().kind == Kind::close) return events;
    }
    REQUIRE(input.empty());
  }
  return events;
}

std::vector<WebSocketDecoder::Event> decode(std::string data, bool masked = false,
                                            std::size_t limit = 1 << 20) {
  WebSocketDecoder decoder(masked, limit);
  return decode(decoder, std::move(data), 1 << 20);
}

}  // namespace

TEST_CASE("frames of the RFC's examples are understood (§5.7)", "[websocket]") {
  SECTION("text, unmasked and masked") {
    auto events = decode(bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
    REQUIRE(events.size() == 1);
    CHECK(events[0].kind == Kind::text);
    CHECK(events[0].payload == "Hello");
    events = decode(bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}), true);
    REQUIRE(events.size() == 1);
    CHECK(events[0].payload == "Hello");
  }
  SECTION("fragments with a ping between them") {
    const auto events = decode(bytes({0x01, 0x03, 0x48, 0x65, 0x6c}) + bytes({0x89, 0x01, 'p'}) +
                               bytes({0x80, 0x02, 0x6c, 0x6f}));
    REQUIRE(events.size() == 2);
    CHECK(events[0].kind == Kind::ping);
    CHECK(events[0].payload == "p");
    CHECK(events[1].kind == Kind::text);
    CHECK(events[1].payload == "Hello");
  }
  SECTION("256 bytes and 64 KiB of binary") {
    for (const std::size_t size : {256u, 65536u}) {
      const auto events = decode(frame(0x82, std::string(size, 'x'), false));
      REQUIRE(events.size() == 1);
      CHECK(events[0].kind == Kind::binary);
      CHECK(events[0].payload == std::string(size, 'x'));
    }
  }
}

TEST_CASE("heads use the shortest length and carry the mask", "[websocket]") {
  const auto head = [](std::uint64_t size, bool masked) {
    return std::string(
        WebSocketHead(WebSocketOpcode::binary, size, masked ? std::optional(kMask) : std::nullopt).bytes());
  };
  CHECK(head(0, false) == bytes({0x82, 0}));
  CHECK(head(125, false) == bytes({0x82, 125}));
  CHECK(head(126, false) == bytes({0x82, 126, 0, 126}));
  CHECK(head(65535, false) == bytes({0x82, 126, 0xff, 0xff}));
  CHECK(head(65536, false) == bytes({0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}));
  CHECK(head(1, true) == bytes({0x82, 0x81, 0x37, 0xfa, 0x21, 0x3d}));
  CHECK(head(std::uint64_t{1} << 40, true) ==
        bytes({0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0x37, 0xfa, 0x21, 0x3d}));
}

TEST_CASE("frames that break the protocol fail with the right code", "[websocket]") {
  struct Row {
    std::string what, data;
    unsigned code;
    bool masked = false;
  };
  const auto data = GENERATE(values<Row>({
      {"reserved bit 1 (§5.2)", frame(0xC1, "x", false), 1002},
      {"reserved bit 2", frame(0xA1, "x", false), 1002},
      {"reserved bit 3", frame(0x91, "x", false), 1002},
      {"opcode 3", frame(0x83, "x", false), 1002},
      {"opcode 7", frame(0x87, "x", false), 1002},
      {"opcode 11", frame(0x8B, "x", false), 1002},
      {"opcode 15", frame(0x8F, "", false), 1002},
      {"continuation of nothing (§5.4)", frame(0x80, "x", false), 1002},
      {"continuation after a whole message", frame(0x81, "x", false) + frame(0x80, "y", false), 1002},
      {"text inside a fragmented message", frame(0x01, "x", false) + frame(0x81, "y", false), 1002},
      {"binary inside a fragmented message", frame(0x01, "x", false) + frame(0x02, "y", false), 1002},
      {"fragmented ping (§5.5)", frame(0x09, "x", false), 1002},
      {"fragmented close", frame(0x08, "", false), 1002},
      {"ping of 126 bytes", frame(0x89, std::string(126, 'x'), false), 1002},
      {"close of 126 bytes", frame(0x88, std::string(126, 'x'), false), 1002},
      {"unmasked frame of a client (§5.1)", frame(0x81, "x", false), 1002, true},
      {"masked frame of a server", frame(0x81, "x", true), 1002, false},
      {"16-bit length of 125 (§5.2)", bytes({0x82, 126, 0, 125}), 1002},
      {"64-bit length of 65535", bytes({0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), 1002},
      {"64-bit length with the highest bit", bytes({0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}), 1002},
      {"message beyond the limit (§7.4.1)", bytes({0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1}), 1009},
      {"fragments beyond the limit",
       frame(0x02, std::string(1 << 19, 'x'), false) + frame(0x00, std::string(1 << 19, 'x'), false) +
           frame(0x80, "x", false),
       1009},
      {"close with half a code (§5.5.1)", frame(0x88, "\x03", false), 1002},
      {"close with code 0", frame(0x88, bytes({0, 0}), false), 1002},
      {"close with code 999", frame(0x88, bytes({0x03, 0xE7}), false), 1002},
      {"close with code 1004 (§7.4.1)", frame(0x88, bytes({0x03, 0xEC}), false), 1002},
      {"close with code 1005", frame(0x88, bytes({0x03, 0xED}), false), 1002},
      {"close with code 1006", frame(0x88, bytes({0x03, 0xEE}), false), 1002},
      {"close with code 1015", frame(0x88, bytes({0x03, 0xF7}), false), 1002},
      {"close with code 2999", frame(0x88, bytes({0x0B, 0xB7}), false), 1002},
      {"close with code 5000", frame(0x88, bytes({0x13, 0x88}), false), 1002},
      {"close with a reason that is no UTF-8", frame(0x88, bytes({0x03, 0xE8, 0xFF}), false), 1007},
      {"text with a stray byte (§8.1)", frame(0x81, "\xff", false), 1007},
      {"text with an overlong form", frame(0x81, "\xc0\xaf", false), 1007},
      {"text with a surrogate", frame(0x81, "\xed\xa0\x80", false), 1007},
      {"text above U+10FFFF", frame(0x81, "\xf4\x90\x80\x80", false), 1007},
      {"text that ends inside a character", frame(0x81, "\xe2\x82", false), 1007},
      {"text that ends inside a character, in fragments",
       frame(0x01, "\xe2\x82", false) + frame(0x80, "", false), 1007},
      {"bad text in an unfinished fragment", frame(0x01, "\xe2\x82", false) + frame(0x00, "x", false), 1007},
  }));
  INFO(data.what);
  for (const std::size_t piece : {1u, 2u, 3u, 1u << 20}) {
    WebSocketDecoder decoder(data.masked, 1 << 20);
    const auto events = decode(decoder, data.data, piece);
    REQUIRE_FALSE(events.empty());
    CHECK(events.back().kind == Kind::failure);
    CHECK(events.back().code == data.code);
    CHECK_FALSE(events.back().payload.empty());
  }
}

TEST_CASE("close frames: no code, every allowed code, a reason", "[websocket]") {
  auto events = decode(frame(0x88, "", false));
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == Kind::close);
  CHECK(events[0].code == kCloseNoCode);
  for (const unsigned code : {1000u, 1001u, 1003u, 1007u, 1011u, 1014u, 3000u, 4999u}) {
    events = decode(frame(0x88, close_payload(code, "because é"), true), true);
    REQUIRE(events.size() == 1);
    CHECK(events[0].kind == Kind::close);
    CHECK(events[0].code == code);
    CHECK(events[0].payload == "because é");
  }
  CHECK(close_payload(kCloseNoCode, "dropped").empty());
  std::string reason(122, 'x');
  reason += "é";  // the cut would fall into it
  CHECK(close_payload(1000, reason).size() == 124);
  CHECK(is_valid_utf8(close_payload(1000, reason).substr(2)));
}

TEST_CASE("a big length in a head costs no memory before its bytes come", "[websocket]") {
  WebSocketDecoder decoder(false, std::uint64_t{1} << 40);
  auto events = decode(decoder, bytes({0x82, 127, 0, 0, 0, 0x40, 0, 0, 0, 0}) + "abc", 1 << 20);
  CHECK(events.empty());  // would have thrown bad_alloc
}

TEST_CASE("messages come out the same wherever the bytes are cut", "[websocket]") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    const bool masked = round % 2 == 0;
    std::string data;
    std::vector<std::pair<Kind, std::string>> expected;
    for (int i = 0; i < 8; ++i) {
      const bool text = random() % 2 == 0;
      std::string payload;
      const auto size = random() % 3 == 0 ? random() % 70'000 : random() % 300;
      while (payload.size() < size) payload += text ? "aé€𐍈"[random() % 10] : static_cast<char>(random());
      if (text) payload = sanitize_utf8(payload);
      // In fragments, with control frames between them.
      const auto fragments = 1 + random() % 4;
      std::size_t at = 0;
      for (unsigned f = 0; f < fragments; ++f) {
        const bool last = f + 1 == fragments;
        const auto count = last ? payload.size() - at : random() % (payload.size() - at + 1);
        const unsigned opcode = f > 0 ? 0 : text ? 1 : 2;
        data += frame((last ? 0x80 : 0) | opcode, payload.substr(at, count), masked);
        at += count;
        if (!last && random() % 2 == 0) {
          data += frame(0x8A, "beat", masked);
          expected.emplace_back(Kind::pong, "beat");
        }
      }
      expected.emplace_back(text ? Kind::text : Kind::binary, payload);
    }
    WebSocketDecoder decoder(masked, 1 << 20);
    const auto events = decode(decoder, data, 1 + random() % (1 + random() % 5000));
    REQUIRE(events.size() == expected.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
      REQUIRE(events[i].kind == expected[i].first);
      REQUIRE(events[i].payload == expected[i].second);
    }
  }
}

TEST_CASE("masking is the same for every length, alignment and phase", "[websocket]") {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t phase = 0; phase < 9; ++phase) {
      std::string data(size + 3, '\0');
      for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31);
      auto expected = data;
      for (std::size_t i = 0; i < size; ++i)
        expected[3 + i] = static_cast<char>(expected[3 + i] ^ kMask[(phase + i) % 4]);
      apply_mask(std::span(data).subspan(3), kMask, phase);
      REQUIRE(data == expected);
    }
  }
}

TEST_CASE("the UTF-8 check in pieces agrees with the check at once", "[websocket]") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::string interesting[] = {"a",    "\x7f", "\x80", "\xbf", "\xc0", "\xc2", "\xdf",
                                     "\xe0", "\xa0", "\xed", "\x9f", "\xef", "\xf0", "\x90",
                                     "\xf4", "\x8f", "\xf5", "é",    "€",    "𐍈",    "12345678"};
  int valid = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::string text;
    const auto length = random() % 6;
    for (unsigned i = 0; i < length; ++i) text += interesting[random() % std::size(interesting)];
    const bool expected = is_valid_utf8(text);
    valid += expected;
    const auto cut = random() % (text.size() + 1);
    Utf8Checker checker;
    const bool got = checker.feed(std::string_view(text).substr(0, cut)) &&
                     checker.feed(std::string_view(text).substr(cut)) && checker.finish();
    REQUIRE(got == expected);
  }
  CHECK(valid > 1000);
}
