// Stream: a connected byte stream, TCP or Unix socket behind one type (TLS joins here later).
//
// A stream belongs to one loop thread. One reader and one writer at a time. Two limits guard its waits, both
// kept by one coarse clock for all streams of the loop (resolution 1 s, see stall_watch.h), not by a timer
// per operation:
//
//   stall limit   an operation that moves no byte for that long fails with Error(deadline_exceeded), and the
//   stream
//                 is closed
//   deadline      when it passes, the pending operations fail with Error(deadline_exceeded), and the stream
//   stays
//                 open for a last word; if none is pending the stream is closed
#pragma once

#include <chrono>
#include <functional>
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
  // All of it. Lets other work of the loop run now and then even if the kernel takes every byte at once.
  // Throws the same; after a throw it is unknown how much has been sent.
  Task<> write(std::string_view data);
  // Gathered write of several pieces in order, all of it.
  Task<> write(std::vector<std::string_view> pieces);

  // Returns when the peer has closed or reset the connection (nothing is consumed); bytes that arrive keep it
  // waiting. A peer that has only finished sending counts as gone. For handlers of long replies, raced
  // against their work. No limit applies. Throws Error(canceled).
  Task<> peer_closed();
  // True if the peer has closed or reset the connection, or has sent bytes that nobody has asked for: what a
  // kept-alive connection must not be before it is used again.
  bool has_news() noexcept;

  // True if nothing can go either way any more: a Unix peer has closed and not only finished sending. (TCP
  // tells that only to who writes.)
  bool is_hung_up() noexcept;

  // No operation may stall longer than this; zero: no limit (the default). Takes effect for waits already
  // begun.
  void set_stall_limit(std::chrono::seconds limit) noexcept;
  // See above; zero: none.
  void set_deadline(std::chrono::seconds from_now) noexcept;

  void shutdown_write() noexcept;  // half-close
  void close() noexcept;           // pending operations fail
  void abort() noexcept;  // closes with a reset, so that the peer cannot take the end for a proper one
  bool is_open() const noexcept;
  // "127.0.0.1:4242", "unix".
  std::string peer() const;
  async::Executor executor();
  Socket& socket() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Connects with TCP_NODELAY. Throws Error(unavailable | deadline_exceeded | not_found for an unknown host
// name). IP addresses and "localhost" need no resolver; other names are looked up by getaddrinfo on a
// short-lived thread.
Task<Stream> connect(Address address, std::chrono::steady_clock::duration timeout);

// Copies until end of stream in each direction (half-closes passed on), then returns; an error in one
// direction ends both, and so does a Unix peer that closes whole before the other has ended. `initial` is
// what was already read from `a` beyond a protocol head and goes to `b` first (and vice versa). `on_bytes` is
// called for every piece that moves; it may be empty. An idle connection may stay for ever, but once one
// direction has ended the other may not stall for longer than limits::kPumpHalfOpenTimeout.
Task<> pump(Stream& a, Stream& b, std::string initial_from_a, std::string initial_from_b,
            std::function<void()> on_bytes = {});

}  // namespace wrenn::net
