// Stream: a connected byte stream, TCP or Unix socket behind one type (TLS joins here later).
//
// A stream belongs to one loop thread. One reader and one writer at a time. Deadlines: every stream has a stall
// limit; an operation that moves no byte for that long fails with Error(deadline_exceeded) and the stream is closed.
// The limit is kept by one coarse timer per stream (resolution 1 s), not one timer per operation.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/async/task.h"
#include "core/net/address.h"

namespace wrenn::net {

using async::Task;

class Stream {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  explicit Stream(Socket socket);
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();  // closes

  // At least one byte; 0 at end of stream. Throws Error(unavailable | canceled | deadline_exceeded).
  Task<std::size_t> read_some(std::span<char> buffer);
  // All of it.
  Task<> write(std::string_view data);
  // Gathered write of several pieces in order, all of it.
  Task<> write(std::vector<std::string_view> pieces);

  // Returns when the peer has closed or reset the connection (nothing is consumed); bytes that arrive keep it waiting.
  // For handlers of long replies, raced against their work.
  Task<> peer_closed();

  // No operation may stall longer than this; zero: no limit. Takes effect for waits already begun.
  void set_stall_limit(std::chrono::seconds limit) noexcept;

  void shutdown_write() noexcept;  // half-close
  void close() noexcept;           // pending operations fail
  bool is_open() const noexcept;
  // "127.0.0.1:4242", "unix".
  std::string peer() const;
  async::Executor executor();
  Socket& socket() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Connects with TCP_NODELAY. Throws Error(unavailable | deadline_exceeded | not_found for an unknown host name).
Task<Stream> connect(Address address, std::chrono::steady_clock::duration timeout);

// Copies until end of stream in each direction (half-closes passed on), then returns; an error in one direction ends
// both. `initial` is what was already read from `a` beyond a protocol head and goes to `b` first (and vice versa).
Task<> pump(Stream& a, Stream& b, std::string initial_from_a, std::string initial_from_b);

}  // namespace wrenn::net
