#include "core/net/stream.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/net/stall_watch.h"

namespace wrenn::net {

// Reads are asynchronous at once: Asio tries the system call before it waits for the reactor. Writes are
// tried here first, because a write nearly always succeeds and then costs no suspension at all.
struct Stream::Impl final : StallWatch::Entry {
  explicit Impl(Socket&& s) : socket(std::move(s)), watch(StallWatch::of(socket.get_executor())) {
    watch.add(*this, socket.get_executor());
  }
  ~Impl() { watch.remove(*this); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  using Tick = StallWatch::Tick;
  enum class Fate { open, closed, stalled };

  Socket socket;
  StallWatch& watch;
  Tick reading_since = 0;  // 0: no such operation is pending
  Tick writing_since = 0;
  Tick stall_limit = 0;       // 0: none
  Tick deadline = 0;          // 0: none
  bool deadline_hit = false;  // until the deadline is set anew: why waits were cancelled
  Fate fate = Fate::open;
  unsigned writes_at_once = 0;  // since the loop last had a turn

  void on_tick(Tick now) noexcept override {
    if (fate != Fate::open) return;
    const auto stalled = [&](Tick since) {
      return since != 0 && stall_limit != 0 && now - since > stall_limit;
    };
    if (stalled(reading_since) || stalled(writing_since)) {
      close(Fate::stalled);
    } else if (deadline != 0 && now > deadline) {
      deadline = 0;
      if (reading_since == 0 && writing_since == 0) {
        close(Fate::stalled);
      } else {
        deadline_hit = true;
        asio::error_code ignored;
        socket.cancel(ignored);
      }
    }
  }

  void close(Fate why) noexcept {
    if (fate != Fate::open) return;
    fate = why;
    asio::error_code ignored;
    socket.close(ignored);
  }

  void require_open(std::string_view what) const {
    if (fate == Fate::stalled)
      throw_error(ErrorCode::deadline_exceeded, "{}: the connection has stalled", what);
    if (fate == Fate::closed) throw_error(ErrorCode::unavailable, "{}: the connection is closed", what);
  }

  [[noreturn]] void fail(const asio::error_code& error, std::string_view what) {
    if (error == asio::error::operation_aborted || fate != Fate::open) {
      require_open(what);
      if (deadline_hit) throw_error(ErrorCode::deadline_exceeded, "{}: took too long", what);
    }
    async::throw_asio(error, what);
  }

  static Task<> send_all(std::shared_ptr<Impl> self, std::span<iovec> pieces);
};

Stream::Stream(Socket socket) : impl_(std::make_shared<Impl>(std::move(socket))) {}
Stream::Stream(Stream&&) noexcept = default;

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Stream::~Stream() {
  close();
}

Task<std::size_t> Stream::read_some(std::span<char> buffer) {
  const auto impl = impl_;
  impl->require_open("read");
  impl->reading_since = impl->watch.now();
  impl->writes_at_once = 0;
  asio::error_code error;
  const auto into = asio::buffer(buffer.data(), buffer.size());
  const std::size_t got =
      co_await impl->socket.async_receive(into, asio::redirect_error(asio::use_awaitable, error));
  impl->reading_since = 0;
  if (!error) co_return got;
  if (error == asio::error::eof && impl->fate == Impl::Fate::open) co_return 0;
  impl->fail(error, "read");
}

Task<> Stream::Impl::send_all(std::shared_ptr<Impl> self, std::span<iovec> pieces) {
  self->require_open("write");
  self->writing_since = self->watch.now();
  for (;;) {
    while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
    if (pieces.empty()) break;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = std::min<std::size_t>(pieces.size(), IOV_MAX);
    const ssize_t sent = ::sendmsg(self->socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      const int reason = errno;
      if (reason == EINTR) continue;
      asio::error_code error(reason, asio::system_category());
      if (reason == EAGAIN || reason == EWOULDBLOCK) {
        self->writes_at_once = 0;
        co_await self->socket.async_wait(Socket::wait_write,
                                         asio::redirect_error(asio::use_awaitable, error));
        if (!error && self->fate == Fate::open) continue;
      }
      self->writing_since = 0;
      self->fail(error, "write");
    }
    self->writing_since = self->watch.now();
    std::size_t left = static_cast<std::size_t>(sent);
    while (left > 0 && left >= pieces.front().iov_len) {
      left -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (left > 0) {
      pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + left;
      pieces.front().iov_len -= left;
    }
  }
  self->writing_since = 0;
  // A reader that keeps up with us must not starve the other connections of the loop.
  if (++self->writes_at_once >= limits::kStreamWritesPerTurn) {
    self->writes_at_once = 0;
    co_await async::yield();
  }
}

static iovec piece_of(std::string_view data) noexcept {
  return {const_cast<char*>(data.data()), data.size()};
}

Task<> Stream::write(std::string_view data) {
  iovec piece = piece_of(data);
  const std::span<iovec> pieces(&piece, 1);
  co_await Impl::send_all(impl_, pieces);
}

Task<> Stream::write(std::vector<std::string_view> pieces) {
  std::vector<iovec> vectors;
  vectors.reserve(pieces.size());
  for (const auto piece : pieces) vectors.push_back(piece_of(piece));
  const std::span<iovec> all(vectors);
  co_await Impl::send_all(impl_, all);
}

static short poll_now(int fd) noexcept {
  pollfd entry{fd, POLLIN | POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) < 0 ? short{POLLERR} : entry.revents;
}

Task<> Stream::peer_closed() {
  const auto impl = impl_;
  for (;;) {
    if (impl->fate != Impl::Fate::open) co_return;
    const short state = poll_now(impl->socket.native_handle());
    if ((state & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0) co_return;
    if ((state & POLLIN) != 0) {
      // Bytes that are not ours to read: the socket stays readable, so a wait would return at once, for ever.
      co_await async::sleep(limits::kPeerClosedPoll);
      continue;
    }
    asio::error_code error;
    co_await impl->socket.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error && impl->fate == Impl::Fate::open) async::throw_asio(error, "wait for the peer");
  }
}

bool Stream::has_news() noexcept {
  return !is_open() || poll_now(impl_->socket.native_handle()) != 0;
}

bool Stream::is_hung_up() noexcept {
  return !is_open() || (poll_now(impl_->socket.native_handle()) & POLLHUP) != 0;
}

void Stream::set_stall_limit(std::chrono::seconds limit) noexcept {
  impl_->stall_limit = static_cast<Impl::Tick>(limit.count());
}

void Stream::set_deadline(std::chrono::seconds from_now) noexcept {
  impl_->deadline_hit = false;
  impl_->deadline =
      from_now.count() <= 0 ? 0 : impl_->watch.now() + static_cast<Impl::Tick>(from_now.count());
}

void Stream::shutdown_write() noexcept {
  asio::error_code ignored;
  if (is_open()) impl_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() noexcept {
  if (impl_) impl_->close(Impl::Fate::closed);
}

void Stream::abort() noexcept {
  if (!is_open()) return;
  const linger now{1, 0};
  ::setsockopt(impl_->socket.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

bool Stream::is_open() const noexcept {
  return impl_ && impl_->fate == Impl::Fate::open;
}

std::string Stream::peer() const {
  asio::error_code error;
  const auto endpoint = impl_->socket.remote_endpoint(error);
  if (error) return "unknown";
  const sockaddr* raw = endpoint.data();
  if (raw->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(raw);
    const asio::ip::address_v4 address(ntohl(v4->sin_addr.s_addr));
    return Address::tcp(address.to_string(), ntohs(v4->sin_port)).text();
  }
  if (raw->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(raw);
    asio::ip::address_v6::bytes_type bytes;
    std::copy_n(v6->sin6_addr.s6_addr, bytes.size(), bytes.begin());
    const asio::ip::address_v6 address(bytes);
    // A client that reached a dual-stack listener over IPv4 is shown as what it is.
    const std::string host = address.is_v4_mapped()
                                 ? asio::ip::make_address_v4(asio::ip::v4_mapped, address).to_string()
                                 : address.to_string();
    return Address::tcp(host, ntohs(v6->sin6_port)).text();
  }
  return "unix";
}

async::Executor Stream::executor() {
  return impl_->socket.get_executor();
}
Stream::Socket& Stream::socket() noexcept {
  return impl_->socket;
}

}  // namespace wrenn::net
