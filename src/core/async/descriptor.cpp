#include "core/async/descriptor.h"

#include <unistd.h>

#include "core/base/error.h"

namespace wrenn::async {

Descriptor::Descriptor(Executor executor, int owned_fd) : descriptor_(executor) {
  asio::error_code error;
  descriptor_.assign(owned_fd, error);
  if (error) {
    ::close(owned_fd);
    throw SystemError(error.value(), "watch file descriptor");
  }
  descriptor_.non_blocking(true, error);
  if (error) throw SystemError(error.value(), "make file descriptor non-blocking");
}

Task<std::size_t> Descriptor::read_some(std::span<char> buffer) {
  asio::error_code error;
  const std::size_t got = co_await descriptor_.async_read_some(
      asio::buffer(buffer.data(), buffer.size()), asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof || error.value() == EIO) co_return 0;
  if (error) throw_asio(error, "read");
  co_return got;
}

Task<> Descriptor::write_all(std::string_view data) {
  asio::error_code error;
  co_await asio::async_write(descriptor_, asio::buffer(data.data(), data.size()),
                             asio::redirect_error(asio::use_awaitable, error));
  if (error) throw_asio(error, "write");
}

Task<> Descriptor::wait_readable() {
  asio::error_code error;
  co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
  if (error) throw_asio(error, "wait");
}

void Descriptor::interrupt() noexcept {
  asio::error_code ignored;
  descriptor_.cancel(ignored);
}

void Descriptor::close() noexcept {
  asio::error_code ignored;
  descriptor_.close(ignored);
}

}  // namespace wrenn::async
