// What a process has printed and not everybody has read yet.
//
//   pump ──append──►  [chunk 7][chunk 8][chunk 9]  ──take──► subscriber A at 9
//                      ▲ dropped once nobody is left          subscriber B at 7: the slowest one governs
//
// The log holds a bounded number of bytes. When it is full there is no room(), the pumps stop reading, the
// pipe fills, and the process waits in write(2): a slow reader slows the process and loses nothing. A
// subscriber sees what comes after it subscribed. Without subscribers everything is dropped at once, so an
// abandoned process runs on.
//
// Pure: no descriptors and no waiting; wake-ups are the callbacks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <string>
#include <string_view>

namespace wrenn::envd::process {

enum class Channel : unsigned char { standard_output, standard_error, terminal };

struct Chunk {
  Channel channel;
  std::string data;  // never empty
};

class OutputLog {
 public:
  // `on_room` is called when room() becomes true again.
  OutputLog(std::size_t capacity_bytes, std::function<void()> on_room)
      : capacity_(capacity_bytes), on_room_(std::move(on_room)) {}
  OutputLog(const OutputLog&) = delete;
  OutputLog& operator=(const OutputLog&) = delete;

  struct Subscriber {
    std::uint64_t next = 0;  // sequence number of the chunk it reads next
    std::function<void()> wake;
  };
  using Handle = std::list<Subscriber>::iterator;

  // `wake` is called after every append and at the end.
  Handle subscribe(std::function<void()> wake);
  void unsubscribe(Handle subscriber);
  std::size_t subscribers() const noexcept { return subscribers_.size(); }

  // True while another chunk may be appended. One chunk per pump may exceed the capacity.
  bool room() const noexcept { return held_bytes_ < capacity_; }
  void append(Channel channel, std::string_view data);
  // Nothing will follow.
  void finish();
  bool finished() const noexcept { return finished_; }

  // The next chunk of the subscriber, or null when it has read all. Valid until the next call on this log.
  const Chunk* peek(Handle subscriber) const noexcept;
  // Steps over the chunk that peek() gave.
  void advance(Handle subscriber);

  std::size_t held_bytes() const noexcept { return held_bytes_; }

 private:
  void drop_read();

  std::size_t capacity_;
  std::function<void()> on_room_;
  std::list<Subscriber> subscribers_;
  std::deque<Chunk> chunks_;
  std::uint64_t first_ = 0;  // sequence number of chunks_.front()
  std::size_t held_bytes_ = 0;
  bool finished_ = false;
};

}  // namespace wrenn::envd::process
