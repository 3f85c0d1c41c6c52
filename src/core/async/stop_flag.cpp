#include "core/async/stop_flag.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/async/descriptor.h"
#include "core/base/error.h"

namespace wrenn::async {

StopFlag::StopFlag() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw_errno("eventfd");
}

StopFlag::~StopFlag() { ::close(fd_); }

void StopFlag::set() noexcept { eventfd_write(fd_, 1); }

Task<> StopFlag::wait() {
  // A descriptor of our own to the same eventfd: several loops may wait.
  const int own = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (own < 0) throw_errno("duplicate eventfd");
  Descriptor watched(co_await asio::this_coro::executor, own);
  co_await watched.wait_readable();
}

}  // namespace wrenn::async
