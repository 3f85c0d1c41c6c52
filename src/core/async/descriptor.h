// A file descriptor of the kernel on the loop: pipes, PTYs, pidfds, inotify, netlink, TAP.
#pragma once

#include <span>
#include <string_view>

#include "core/async/task.h"

namespace wrenn::async {

class Descriptor {
 public:
  // Takes ownership of `fd` and makes it non-blocking. Throws SystemError; on a throw the fd is closed.
  Descriptor(Executor executor, int owned_fd);

  // Bytes read, at least 1; 0 at end of file (EIO of a PTY whose last slave is closed counts as end).
  // Throws SystemError, Error(canceled).
  Task<std::size_t> read_some(std::span<char> buffer);
  // All of `data`. Throws SystemError (EPIPE when the reader is gone), Error(canceled).
  Task<> write_all(std::string_view data);
  // Returns when a read would not block (a pidfd: when the process has ended).
  Task<> wait_readable();

  // Operations that wait now throw Error(canceled); the descriptor stays open.
  void interrupt() noexcept;

  int fd() noexcept { return descriptor_.native_handle(); }
  bool is_open() const noexcept { return descriptor_.is_open(); }
  void close() noexcept;

 private:
  asio::posix::stream_descriptor descriptor_;
};

}  // namespace wrenn::async
