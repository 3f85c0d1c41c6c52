// What a process has printed: what not everybody has read yet, and a tail of what has been read.
//
//   pump ──append──►  [chunk 5][chunk 6]│[chunk 7][chunk 8][chunk 9]  ──peek──► subscriber A at 9
//                      kept for those    ▲ the slowest one governs               subscriber B at 7
//                      who reconnect
//
// The unread part holds a bounded number of bytes. When it is full there is no room(), the pumps stop
// reading, the pipe fills, and the process waits in write(2): a slow reader slows the process and loses
// nothing. Without subscribers everything counts as read, so an abandoned process runs on.
//
// The read part is a ring: the last bytes stay, for a client whose connection broke off and who says how much
// it has. Positions count bytes of output over all channels from the start of the process.
//
// Pure: no descriptors and no waiting; wake-ups are the callbacks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "envd/limits.h"

namespace wrenn::envd::process {

enum class Channel : unsigned char { standard_output, standard_error, terminal };

struct Chunk {
  Channel channel;
  std::uint64_t position;  // of its first byte
  std::string data;        // never empty
};
// A chunk, or what of it comes after the position that was asked for.
struct Piece {
  Channel channel;
  std::string_view data;
};

class OutputLog {
 public:
  // `on_room` is called when room() becomes true again. `replay_bytes`: how much of what has been read is
  // kept.
  OutputLog(std::size_t capacity_bytes, std::size_t replay_bytes, std::function<void()> on_room)
      : capacity_(capacity_bytes), replay_(replay_bytes), on_room_(std::move(on_room)) {}
  OutputLog(const OutputLog&) = delete;
  OutputLog& operator=(const OutputLog&) = delete;

  struct Subscriber {
    std::uint64_t position = 0;  // of the byte it reads next
    std::function<void()> wake;
  };
  using Handle = std::list<Subscriber>::iterator;

  // Sees what comes from now on. `wake` is called after every append and at the end.
  Handle subscribe(std::function<void()> wake) { return subscribe(end_, std::move(wake)); }
  // Sees everything from `position` on, which must be within [oldest(), end()].
  Handle subscribe(std::uint64_t position, std::function<void()> wake);
  void unsubscribe(Handle subscriber);
  std::size_t subscribers() const noexcept { return subscribers_.size(); }

  // The positions of the first byte that is kept, and of the one to come.
  std::uint64_t oldest() const noexcept { return chunks_.empty() ? end_ : chunks_.front().position; }
  std::uint64_t end() const noexcept { return end_; }

  // True while another chunk may be appended. One chunk per pump may exceed the capacity.
  bool room() const noexcept {
    return unread_bytes() < capacity_ && chunks_.size() < limits::kOutputLogChunks;
  }
  void append(Channel channel, std::string_view data);
  // Nothing will follow.
  void finish();
  bool finished() const noexcept { return finished_; }

  // What the subscriber reads next, absent when it has read all. Valid until the next call on this log.
  std::optional<Piece> peek(Handle subscriber) const noexcept;
  // Steps over what peek() gave.
  void advance(Handle subscriber);

  std::size_t unread_bytes() const noexcept { return static_cast<std::size_t>(end_ - slowest()); }
  std::size_t held_bytes() const noexcept { return static_cast<std::size_t>(end_ - oldest()); }

 private:
  std::uint64_t slowest() const noexcept;
  const Chunk* chunk_at(std::uint64_t position) const noexcept;
  void drop_old(bool was_full);

  std::size_t capacity_, replay_;
  std::function<void()> on_room_;
  std::list<Subscriber> subscribers_;
  std::deque<Chunk> chunks_;  // without gaps, up to end_
  std::uint64_t end_ = 0;
  bool finished_ = false;
};

}  // namespace wrenn::envd::process
