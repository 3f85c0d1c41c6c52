#include "core/http/server.h"

#include <list>

#include "core/async/event.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/http/server_connection.h"
#include "core/log/log.h"

namespace wrenn::http {

struct Server::Impl {
  Impl(async::Executor executor, Handler handler, ServerOptions options)
      : context{std::move(handler), std::move(options)},
        connection_ended(executor),
        tasks(executor, "http server") {}

  Task<> serve_connection(net::Stream stream);
  Task<> wait_for_end(SteadyTime until);

  ServerContext context;
  std::list<net::Listener*> listeners;
  std::list<ServerConnection*> connections;
  async::Event connection_ended;
  async::Scope tasks;
};

// A child of `tasks`, which Server::stop() joins; so this object outlives it.
Task<> Server::Impl::serve_connection(net::Stream stream) {
  ServerConnection connection(context, std::move(stream));
  const auto entry = connections.insert(connections.end(), &connection);
  std::exception_ptr error;
  try {
    co_await connection.run();
  } catch (...) {
    error = std::current_exception();
  }
  connections.erase(entry);
  connection_ended.notify_all();
  if (error) std::rethrow_exception(error);
}

Task<> Server::Impl::wait_for_end(SteadyTime until) {
  while (!connections.empty()) {
    const auto left = until - SteadyClock::now();
    if (left <= left.zero() || !co_await connection_ended.wait_for(left)) co_return;
  }
}

namespace {

// No coroutine and no wait for a client that is one too many.
void turn_away(net::Stream stream) noexcept {
  static constexpr std::string_view kAnswer =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  asio::error_code ignored;
  stream.socket().non_blocking(true, ignored);
  stream.socket().send(asio::buffer(kAnswer), 0, ignored);
}

}  // namespace

Server::Server(async::Executor executor, Handler handler, ServerOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(handler), std::move(options))) {
  if (impl_->context.options.connections_max == 0)
    impl_->context.options.connections_max = limits::kHttpConnections;
}

Server::~Server() = default;

Task<> Server::serve(net::Listener& listener) {
  const auto impl = impl_;
  if (impl->context.stopping) co_return;
  const auto entry = impl->listeners.insert(impl->listeners.end(), &listener);
  bool full = false;
  std::exception_ptr error;
  try {
    for (;;) {
      net::Stream stream = co_await listener.accept();
      if (impl->connections.size() >= impl->context.options.connections_max) {
        if (!full) log::warn("too many connections", {{"limit", impl->context.options.connections_max}});
        full = true;
        turn_away(std::move(stream));
        continue;
      }
      full = false;
      auto task = impl->serve_connection(std::move(stream));
      impl->tasks.spawn(std::move(task));
    }
  } catch (...) {
    error = std::current_exception();
  }
  impl->listeners.erase(entry);
  if (!impl->context.stopping) std::rethrow_exception(error);
}

Task<> Server::stop(std::chrono::steady_clock::duration grace) {
  const auto impl = impl_;
  impl->context.stopping = true;
  for (net::Listener* listener : impl->listeners) listener->close();
  for (ServerConnection* connection : impl->connections) connection->stop_if_waiting();
  auto draining = impl->wait_for_end(SteadyClock::now() + grace);
  co_await impl->tasks.run(std::move(draining));
}

void Server::mark_connections() noexcept {
  for (ServerConnection* connection : impl_->connections) connection->mark();
}

void Server::cut_marked() noexcept {
  for (ServerConnection* connection : impl_->connections) connection->cut_if_marked();
}

std::size_t Server::open_connections() const noexcept {
  return impl_->connections.size();
}

}  // namespace wrenn::http
