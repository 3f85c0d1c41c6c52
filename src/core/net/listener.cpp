#include "core/net/listener.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/log/log.h"
#include "core/net/tcp_options.h"

namespace wrenn::net {

using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using Endpoint = asio::generic::stream_protocol::endpoint;

struct Listener::Impl {
  explicit Impl(async::Executor executor) : acceptor(std::move(executor)) {}
  Acceptor acceptor;
  bool closed = false;
  bool warned = false;  // that descriptors ran out
  // Which socket file is ours to remove.
  dev_t device = 0;
  ino_t inode = 0;
};

namespace {

void open_and_bind(Acceptor& acceptor, const Endpoint& endpoint, asio::error_code& error) {
  acceptor.open(endpoint.protocol(), error);
  if (error) return;
  acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
}

// Every interface: one IPv6 socket that takes IPv4 too, or IPv4 alone on a machine without IPv6.
void bind_every_interface(Acceptor& acceptor, std::uint16_t port, asio::error_code& error) {
  const asio::ip::tcp::endpoint v6(asio::ip::tcp::v6(), port);
  acceptor.open(Endpoint(v6).protocol(), error);
  if (!error) {
    asio::error_code ignored;
    acceptor.set_option(asio::socket_base::reuse_address(true), ignored);
    acceptor.set_option(asio::ip::v6_only(false), error);
    if (!error) acceptor.bind(v6, error);
    if (!error || error == asio::error::address_in_use || error == asio::error::access_denied) return;
    acceptor.close(ignored);
  }
  const asio::ip::tcp::endpoint v4(asio::ip::tcp::v4(), port);
  open_and_bind(acceptor, v4, error);
}

void bind_tcp(Acceptor& acceptor, const Address& address) {
  asio::error_code error;
  if (address.host().empty()) {
    bind_every_interface(acceptor, address.port(), error);
  } else {
    const auto ip = address.host() == "localhost" ? asio::ip::address(asio::ip::address_v4::loopback())
                                                  : asio::ip::make_address(address.host(), error);
    if (error)
      throw_error(ErrorCode::invalid_argument, "listen on {}: give an IP address of this machine, not a name",
                  address.text());
    const asio::ip::tcp::endpoint endpoint(ip, address.port());
    open_and_bind(acceptor, endpoint, error);
  }
  if (error == asio::error::address_in_use)
    throw_error(ErrorCode::already_exists,
                "listen on {}: another program has this port; stop it or choose another port (\"ss -ltnp\" "
                "shows who)",
                address.text());
  if (error) throw SystemError(error.value(), "listen on " + address.text());
}

bool somebody_listens(const Address& address) {
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  asio::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(address.path()), error);
  return error != asio::error::connection_refused;
}

void bind_unix(Acceptor& acceptor, const Address& address, unsigned mode) {
  const Endpoint endpoint(asio::local::stream_protocol::endpoint(address.path()));
  asio::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (error) throw SystemError(error.value(), "listen on " + address.text());
  // The file is made with the mode of the socket, so that it is never more open than asked, not even for a
  // moment.
  if (::fchmod(acceptor.native_handle(), mode) != 0) throw_errno("set mode of {}", address.text());
  acceptor.bind(endpoint, error);
  if (error == asio::error::address_in_use) {
    struct stat status;
    const bool is_socket = ::lstat(address.path().c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
    if (!is_socket)
      throw_error(ErrorCode::already_exists, "listen on {}: there is a file of that name that is no socket",
                  address.text());
    if (somebody_listens(address))
      throw_error(ErrorCode::already_exists,
                  "listen on {}: another program listens there; stop it or choose another path",
                  address.text());
    ::unlink(address.path().c_str());
    acceptor.bind(endpoint, error);
  }
  if (error) throw SystemError(error.value(), "listen on " + address.text());
  if (::chmod(address.path().c_str(), mode) != 0) throw_errno("set mode of {}", address.text());
}

std::uint16_t bound_port(const Acceptor& acceptor) {
  const auto endpoint = acceptor.local_endpoint();
  asio::ip::tcp::endpoint tcp;
  std::memcpy(tcp.data(), endpoint.data(), std::min(endpoint.size(), tcp.capacity()));
  return tcp.port();
}

}  // namespace

Listener::Listener(async::Executor executor, Address address, unsigned unix_mode)
    : impl_(std::make_unique<Impl>(std::move(executor))), address_(std::move(address)) {
  Acceptor& acceptor = impl_->acceptor;
  if (address_.is_unix()) {
    bind_unix(acceptor, address_, unix_mode);
    struct stat status;
    if (::stat(address_.path().c_str(), &status) == 0) {
      impl_->device = status.st_dev;
      impl_->inode = status.st_ino;
    }
  } else {
    bind_tcp(acceptor, address_);
    set_tcp_options(acceptor.native_handle());
    address_ = Address::tcp(address_.host(), bound_port(acceptor));
  }
  asio::error_code error;
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use)
    throw_error(ErrorCode::already_exists, "listen on {}: another program has this port", address_.text());
  if (error) throw SystemError(error.value(), "listen on " + address_.text());
}

Listener::~Listener() {
  close();
  if (impl_->inode == 0) return;
  struct stat status;
  if (::stat(address_.path().c_str(), &status) == 0 && status.st_dev == impl_->device &&
      status.st_ino == impl_->inode)
    ::unlink(address_.path().c_str());
}

Task<Stream> Listener::accept() {
  for (;;) {
    if (impl_->closed) throw Error(ErrorCode::canceled, "accept: the listener is closed");
    asio::error_code error;
    auto socket = co_await impl_->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      impl_->warned = false;
      co_return Stream(std::move(socket));
    }
    if (impl_->closed || error == asio::error::operation_aborted)
      throw Error(ErrorCode::canceled, "accept: cancelled");
    // What remains is a connection that died in the queue, or a lack of descriptors or memory that passes.
    if (error.value() == EMFILE || error.value() == ENFILE || error.value() == ENOMEM ||
        error.value() == ENOBUFS) {
      if (!impl_->warned)
        log::warn("cannot accept connections for now",
                  {{"address", address_.text()}, {"error", error.message()}});
      impl_->warned = true;
      co_await async::sleep(limits::kAcceptRetry);
    } else if (error.value() == EBADF || error.value() == EINVAL || error.value() == ENOTSOCK) {
      throw SystemError(error.value(), "accept on " + address_.text());
    }
  }
}

void Listener::close() noexcept {
  impl_->closed = true;
  asio::error_code ignored;
  impl_->acceptor.close(ignored);
}

}  // namespace wrenn::net
