// The reading side of an HTTP connection, for the server and the client: a buffer in front of the stream, and
// the body of the current message taken out of it by its framing.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/http/body.h"
#include "core/http/parser.h"
#include "core/net/stream.h"

namespace wrenn::http {

class ConnectionReader {
 public:
  // `stream` must outlive the reader.
  explicit ConnectionReader(net::Stream& stream) noexcept : stream_(stream) {}

  std::string_view buffered() const noexcept { return {bytes_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t count) noexcept;
  // Waits for more bytes behind what is buffered; false at the end of the stream. Throws as
  // Stream::read_some.
  Task<bool> fill();
  // Buffered bytes first, then straight from the stream.
  Task<std::size_t> read_some(std::span<char> into);
  // Gives the memory of a large head back when nothing is buffered; for connections that may now be idle for
  // long.
  void shrink() noexcept;
  // Everything buffered, for whoever takes the stream over.
  std::string take_buffered();

 private:
  net::Stream& stream_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// The body of one message after another on the same connection.
class FramedBody final : public Body {
 public:
  explicit FramedBody(ConnectionReader& reader) noexcept : reader_(reader) {}

  void begin(Framing framing) noexcept;
  // True once the last byte has been read: the next message may follow.
  bool finished() const noexcept { return finished_; }
  const Framing& framing() const noexcept { return framing_; }

  Task<std::size_t> read_some(std::span<char> buffer) override;
  std::optional<std::uint64_t> remaining() const noexcept override;

 private:
  Task<std::size_t> read_chunked(std::span<char> buffer);

  ConnectionReader& reader_;
  Framing framing_;
  std::uint64_t left_ = 0;
  ChunkDecoder decoder_;
  bool finished_ = true;
};

}  // namespace wrenn::http
