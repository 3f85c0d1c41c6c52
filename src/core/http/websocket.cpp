// Sending and receiving over one stream, on one loop thread, without locks.
//
//   receive() ── reads ──▶ WebSocketDecoder ─┬─ message ─▶ caller
//                                            ├─ ping    ─▶ pong_owed ──┐
//                                            └─ close   ─▶ close frame ┤
//   send_*(), ping(), close() ── take a turn ──────────────────────────┴─▶ one frame at a time ─▶ stream
//
// A frame is written only by who holds the turn, so frames never mix. receive() does not wait for a turn to
// answer a ping: if somebody is writing, that writer sends the pong behind its own frame (an older unsent
// pong is replaced, §5.5.3). Else two peers that both send without reading could wait for each other for
// ever.
#include "core/http/websocket.h"

#include <array>
#include <deque>
#include <utility>

#include "core/async/event.h"
#include "core/async/timeout.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/crypto/hash.h"
#include "core/http/websocket_frame.h"

namespace wrenn::http {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;  // one read; every open WebSocket holds such a buffer
constexpr std::size_t kCopyBytes =
    4 * 1024;  // smaller payloads are copied behind their head: one piece to write
constexpr std::size_t kMaskBytes = 64 * 1024;  // a client masks in a copy of at most this
constexpr std::size_t kMasksAtOnce = 64;       // random masks fetched by one system call

// RFC 6455 §1.3.
constexpr std::string_view kHandshakeGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

}  // namespace

struct WebSocket::Impl {
  using Self = std::shared_ptr<Impl>;
  using Event = WebSocketDecoder::Event;

  Impl(net::Stream connected, Role role, std::string early, std::size_t message_bytes_max)
      : stream(std::move(connected)),
        client(role == Role::client),
        decoder(!client, message_bytes_max),
        unread(std::move(early)),
        pending(unread),
        changed(stream.executor()),
        turn_free(stream.executor()),
        ended(stream.executor()) {}

  net::Stream stream;
  const bool client;

  // Receiving.
  WebSocketDecoder decoder;
  std::string unread;             // what came with the handshake
  std::unique_ptr<char[]> input;  // made at the first read: many sockets are opened and few talk
  std::span<char> pending;        // received and not decoded: a part of `unread` or `input`
  std::uint64_t received = 0;     // bytes, to notice silence
  bool reading = false;
  async::Event changed;  // somebody stopped reading

  // Sending.
  bool writing = false;
  std::deque<std::uint64_t> queue;  // tickets of who waits for the turn, in order of arrival
  std::uint64_t last_ticket = 0;
  async::Event turn_free;
  std::string out;  // reused for every frame that needs a copy
  std::optional<std::string> pong_owed;
  std::array<WebSocketMask, kMasksAtOnce> masks;
  std::size_t masks_used = kMasksAtOnce;

  // Ending.
  bool close_begun = false;  // ours is on its way: nothing may follow it
  bool close_sent = false;
  bool close_received = false;
  bool finished = false;  // the stream is closed, or about to be
  std::string failure;    // what broke the protocol
  async::Event ended;

  void finish() noexcept {
    finished = true;
    stream.close();
    ended.notify_all();
    changed.notify_all();
  }

  // The right to write one frame and the answers owed behind it.
  class Turn {
   public:
    explicit Turn(Self self) : self_(std::move(self)) {}
    ~Turn() {
      if (!taken_) return;
      self_->writing = false;
      self_->turn_free.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    Task<> take() {
      auto& impl = *self_;
      if (impl.writing || !impl.queue.empty()) {
        const auto ticket = ++impl.last_ticket;
        impl.queue.push_back(ticket);
        const ScopeGuard leave([&impl, ticket] {
          std::erase(impl.queue, ticket);
          impl.turn_free.notify_all();  // whoever is next, also if this wait was cancelled
        });
        while (impl.writing || impl.queue.front() != ticket) co_await impl.turn_free.wait();
        take_now();
      } else {
        take_now();
      }
    }
    void take_now() noexcept { self_->writing = taken_ = true; }

   private:
    Self self_;
    bool taken_ = false;
  };

  WebSocketMask next_mask() {
    if (masks_used == masks.size()) {
      fill_random({reinterpret_cast<std::uint8_t*>(masks.data()), sizeof masks});
      masks_used = 0;
    }
    return masks[masks_used++];
  }

  // The caller holds the turn.
  static Task<> write_frame(Self self, WebSocketOpcode opcode, std::string_view data) {
    auto& impl = *self;
    ScopeGuard cut([&impl] { impl.finish(); });  // part of a frame may be out: nothing can follow it
    if (impl.client) {
      const auto mask = impl.next_mask();
      const WebSocketHead head(opcode, data.size(), mask);
      impl.out = head.bytes();
      std::size_t at = 0;
      do {
        const auto piece = data.substr(at, kMaskBytes);
        const auto start = impl.out.size();
        impl.out += piece;
        apply_mask(std::span(impl.out).subspan(start), mask, at);
        co_await impl.stream.write(impl.out);
        impl.out.clear();
        at += piece.size();
      } while (at < data.size());
    } else {
      const WebSocketHead head(opcode, data.size(), std::nullopt);
      if (data.size() <= kCopyBytes) {
        impl.out = head.bytes();
        impl.out += data;
        co_await impl.stream.write(impl.out);
      } else {
        std::vector<std::string_view> pieces{head.bytes(), data};
        co_await impl.stream.write(std::move(pieces));
      }
    }
    cut.dismiss();
  }

  // The caller holds the turn and gives it up right after.
  static Task<> write_owed_pong(Self self) {
    while (self->pong_owed && !self->close_begun) {
      const auto payload = *std::exchange(self->pong_owed, std::nullopt);
      co_await write_frame(self, WebSocketOpcode::pong, payload);
    }
  }

  static Task<> send(Self self, WebSocketOpcode opcode, std::string_view data) {
    Turn turn(self);
    co_await turn.take();
    if (self->close_begun || self->finished)
      throw Error(ErrorCode::unavailable, "send on a WebSocket that is closed");
    co_await write_frame(self, opcode, data);
    co_await write_owed_pong(self);
  }

  static Task<> send_text(Self self, std::string_view text) {
    Utf8Checker checker;
    if (!checker.feed(text) || !checker.finish())
      throw Error(ErrorCode::invalid_argument, "WebSocket text must be UTF-8; send it as binary");
    co_await send(std::move(self), WebSocketOpcode::text, text);
  }

  static Task<> send_close(Self self, unsigned code, std::string reason) {
    if (self->close_begun) co_return;
    self->close_begun = true;  // whoever waits for a turn gives up, so this one comes soon
    Turn turn(self);
    co_await turn.take();
    if (self->finished) co_return;
    const auto payload = close_payload(code, reason);
    co_await write_frame(self, WebSocketOpcode::close, payload);
    self->close_sent = true;
  }

  // False when the close frame did not get out in time. Never throws for that.
  static Task<bool> try_send_close(Self self, unsigned code, std::string reason) {
    try {
      auto sending = send_close(self, code, std::move(reason));
      co_await async::with_timeout(limits::kWebSocketCloseTimeout, "WebSocket close", std::move(sending));
    } catch (const Error&) {
      co_return false;
    } catch (const asio::system_error&) {
      co_return false;
    }
    co_return self->close_sent;
  }

  // Marks the one reader; others learn when it stops.
  class Reader {
   public:
    explicit Reader(Impl& impl) : impl_(impl) {
      if (impl_.reading) throw Error(ErrorCode::internal, "two tasks receive from one WebSocket");
      impl_.reading = true;
    }
    ~Reader() {
      impl_.reading = false;
      impl_.changed.notify_all();
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    Impl& impl_;
  };

  // Absent at the end of the stream.
  static Task<std::optional<Event>> next_event(Self self) {
    auto& impl = *self;
    for (;;) {
      if (!impl.pending.empty())
        if (auto event = impl.decoder.next(impl.pending)) co_return event;
      if (!impl.input) {
        impl.input.reset(new char[kReadBytes]);
        impl.unread = {};
      }
      const std::span<char> buffer(impl.input.get(), kReadBytes);
      const auto count = co_await impl.stream.read_some(buffer);
      if (count == 0) co_return std::nullopt;
      impl.received += count;
      impl.pending = buffer.first(count);
    }
  }

  static Task<std::optional<Message>> receive(Self self) {
    auto& impl = *self;
    const Reader reader(impl);
    for (;;) {
      if (!impl.failure.empty()) throw Error(ErrorCode::invalid_argument, impl.failure);
      if (impl.close_received || (impl.finished && impl.close_begun)) co_return std::nullopt;
      std::optional<Event> event;
      try {
        event = co_await next_event(self);
      } catch (const Error& error) {
        const bool closed_by_us = impl.close_begun && impl.finished;
        if (error.code() != ErrorCode::canceled) impl.finish();
        if (!closed_by_us) throw;
      }
      if (!event) {
        const bool expected = impl.close_begun;
        impl.finish();
        if (expected) co_return std::nullopt;
        throw Error(ErrorCode::unavailable, "WebSocket: the connection ended without a close frame");
      }
      switch (event->kind) {
        case Event::Kind::text:
        case Event::Kind::binary: {
          Message message;
          message.binary = event->kind == Event::Kind::binary;
          message.data = std::move(event->payload);
          co_return message;
        }
        case Event::Kind::ping:
          co_await answer_ping(self, std::move(event->payload));
          break;
        case Event::Kind::pong:
          break;
        case Event::Kind::close:
          co_await answer_close(self, event->code);
          co_return std::nullopt;
        case Event::Kind::failure:
          co_await tell_failure(self, event->code, std::move(event->payload));
          break;
      }
    }
  }

  static Task<> answer_ping(Self self, std::string payload) {
    self->pong_owed = std::move(payload);
    if (self->writing || !self->queue.empty()) co_return;  // a writer will send it
    Turn turn(self);
    turn.take_now();
    co_await write_owed_pong(self);
  }

  static Task<> answer_close(Self self, unsigned code) {
    self->close_received = true;
    self->changed.notify_all();
    if (!self->close_begun) {
      co_await try_send_close(self, code, {});
      self->finish();
    } else if (self->close_sent) {
      self->finish();
    }  // else our own close frame is just being written, and close() will end the stream
  }

  // Leaves `failure` set. Reads on for a moment: closing with unread bytes would reset the connection, and
  // the peer could lose the frame that tells it why.
  static Task<> tell_failure(Self self, unsigned code, std::string why) {
    self->failure = "WebSocket: " + why;
    const ScopeGuard finish([&self] { self->finish(); });
    if (!co_await try_send_close(self, code, std::move(why))) co_return;
    self->stream.shutdown_write();
    try {
      auto draining = drain(self);
      co_await async::with_timeout(limits::kWebSocketCloseTimeout, "WebSocket drain", std::move(draining));
    } catch (const Error&) {
    }
  }

  static Task<> drain(Self self) {
    if (!self->input) self->input.reset(new char[kReadBytes]);
    const std::span<char> buffer(self->input.get(), kReadBytes);
    while (co_await self->stream.read_some(buffer) != 0) {
    }
  }

  static Task<> await_end(Self self) {
    while (!self->finished) co_await self->ended.wait();
  }

  static Task<> await_peer_close(Self self) {
    auto& impl = *self;
    while (!impl.close_received && !impl.finished) {
      if (impl.reading) {
        co_await impl.changed.wait();
        continue;
      }
      const Reader reader(impl);
      const auto event = co_await next_event(self);
      if (!event || event->kind == Event::Kind::failure) co_return;
      if (event->kind == Event::Kind::close) impl.close_received = true;
    }
  }

  static Task<> close(Self self, unsigned code, std::string reason) {
    if (self->finished) co_return;
    const ScopeGuard finish([&self] { self->finish(); });
    const bool begun = self->close_begun;  // by another task, or as the answer to the peer's
    if (!begun && !co_await try_send_close(self, code, std::move(reason))) co_return;
    try {
      auto waiting = begun ? await_end(self) : await_peer_close(self);
      co_await async::with_timeout(limits::kWebSocketCloseTimeout, "WebSocket close", std::move(waiting));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled && !self->finished) throw;
    }
  }

  static Task<> keep_alive(Self self, std::chrono::seconds interval) {
    auto& impl = *self;
    impl.stream.set_stall_limit(2 * interval);
    auto seen = impl.received;
    while (!impl.finished && !impl.close_begun) {
      co_await impl.ended.wait_for(interval);
      if (impl.finished || impl.close_begun) co_return;
      const bool silent = impl.received == seen;
      seen = impl.received;
      // A blocked writer is watched by the stall limit; a ping could only queue behind it.
      if (!silent || impl.writing) continue;
      try {
        co_await send(self, WebSocketOpcode::ping, {});
      } catch (const Error&) {
        if (!impl.finished && !impl.close_begun) throw;
      }
    }
  }
};

WebSocket::WebSocket(net::Stream stream, Role role, std::string unread, std::size_t message_bytes_max) {
  stream.set_stall_limit(
      std::chrono::seconds(0));  // a silent peer is normal; keep_alive() is for who wants to know
  if (message_bytes_max == 0) message_bytes_max = limits::kWebSocketMessageBytes;
  impl_ = std::make_shared<Impl>(std::move(stream), role, std::move(unread), message_bytes_max);
}

WebSocket::WebSocket(WebSocket&&) noexcept = default;

WebSocket& WebSocket::operator=(WebSocket&& other) noexcept {
  if (impl_ && impl_ != other.impl_) impl_->finish();
  impl_ = std::move(other.impl_);
  return *this;
}

WebSocket::~WebSocket() {
  if (impl_) impl_->finish();
}

Task<std::optional<WebSocket::Message>> WebSocket::receive() {
  return Impl::receive(impl_);
}
Task<> WebSocket::send_text(std::string_view text) {
  return Impl::send_text(impl_, text);
}
Task<> WebSocket::send_binary(std::string_view data) {
  return Impl::send(impl_, WebSocketOpcode::binary, data);
}
Task<> WebSocket::ping() {
  return Impl::send(impl_, WebSocketOpcode::ping, {});
}
Task<> WebSocket::keep_alive(std::chrono::seconds interval) {
  return Impl::keep_alive(impl_, interval);
}
Task<> WebSocket::close(unsigned code, std::string_view reason) {
  return Impl::close(impl_, code, std::string(reason));
}

std::string websocket_accept(std::string_view key) {
  const auto digest = crypto::sha1(std::string(key) + std::string(kHandshakeGuid));
  return base64_encode(digest);
}

}  // namespace wrenn::http
