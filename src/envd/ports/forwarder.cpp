#include "envd/ports/forwarder.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "core/base/error.h"
#include "core/log/log.h"
#include "envd/limits.h"

namespace wrenn::envd::ports {

// One port. Shared by the table, its acceptor and its connections.
struct Forwarder::Forward {
  Forward(async::Executor executor, const std::string& address, const LoopbackListener& listener)
      : target(listener), outside(std::move(executor), net::Address::tcp(address, listener.port)) {}
  LoopbackListener target;  // as of the last look
  net::Listener outside;
};

std::optional<std::string> interface_address(const std::string& name) {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(raw, ::freeifaddrs);
  for (const ifaddrs* one = raw; one != nullptr; one = one->ifa_next) {
    if (one->ifa_name != name || one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) return text;
  }
  return std::nullopt;
}

Forwarder::Forwarder(async::Executor executor, async::ThreadPool& threads, ForwarderOptions options)
    : executor_(executor),
      threads_(threads),
      options_(std::move(options)),
      noticed_(executor),
      acceptors_(executor, "port acceptors"),
      connections_(executor, "port connections") {}

Forwarder::~Forwarder() = default;

Task<> Forwarder::run() {
  auto scans = scan_for_ever();
  auto with_connections = connections_.run(std::move(scans));
  co_await acceptors_.run(std::move(with_connections));
}

Task<> Forwarder::scan_for_ever() {
  for (;;) {
    if (!suspended_) co_await scan();
    const bool busy = !suspended_ && (!options_.busy || options_.busy());
    if (busy) {
      co_await async::sleep(limits::kPortScan);
    } else {
      (void)co_await noticed_.wait_for(limits::kPortScanIdle);
    }
  }
}

Task<> Forwarder::scan() {
  std::vector<LoopbackListener> listeners;
  try {
    auto look = [] { return loopback_listeners(); };
    listeners = co_await async::offload(threads_, std::move(look));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warn("cannot look for listening programs", {{"error", error.what()}});
    co_return;
  }
  if (!suspended_) apply(listeners);
}

void Forwarder::apply(const std::vector<LoopbackListener>& listeners) {
  std::map<std::uint16_t, LoopbackListener> wanted;
  for (const LoopbackListener& listener : listeners)
    if (listener.port != options_.own_port) wanted.emplace(listener.port, listener);

  for (auto forward = forwards_.begin(); forward != forwards_.end();) {
    const auto found = wanted.find(forward->first);
    if (found != wanted.end()) {
      forward->second->target = found->second;
      wanted.erase(found);
      ++forward;
      continue;
    }
    forward->second->outside.close();
    log::info("port is no longer forwarded", {{"port", forward->first}});
    forward = forwards_.erase(forward);
  }
  std::erase_if(refused_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const auto& [port, listener] : wanted) begin(listener);
}

void Forwarder::begin(const LoopbackListener& listener) {
  std::string why;
  if (options_.address.empty()) options_.address = interface_address("eth0").value_or("");
  if (options_.address.empty()) {
    why = "eth0 has no address";
  } else if (forwards_.size() >= limits::kForwardedPorts) {
    why = fmt::format("{} ports are forwarded, which is the most", forwards_.size());
  } else {
    try {
      const auto forward = std::make_shared<Forward>(executor_, options_.address, listener);
      forwards_.emplace(listener.port, forward);
      acceptors_.spawn(accept_on(forward));
      refused_.erase(listener.port);
      log::info("port is forwarded", {{"port", listener.port}, {"address", options_.address}});
      return;
    } catch (const Error& error) {
      why = error.what();  // often: the program listens there itself
    }
  }
  auto& told = refused_[listener.port];
  if (told != why) log::info("port is not forwarded", {{"port", listener.port}, {"reason", why}});
  told = why;
}

Task<> Forwarder::accept_on(std::shared_ptr<Forward> forward) {
  for (;;) {
    net::Stream outside = co_await forward->outside.accept();
    if (connections_.size() >= limits::kForwardedConnections) {
      outside.abort();
      continue;
    }
    auto task = pass_on(forward, std::move(outside));
    connections_.spawn(std::move(task));
  }
}

Task<> Forwarder::pass_on(std::shared_ptr<Forward> forward, net::Stream outside) {
  try {
    const char* host = forward->target.on_ipv4 ? "127.0.0.1" : "::1";
    const auto address = net::Address::tcp(host, forward->target.port);
    net::Stream inside = co_await net::connect(address, limits::kForwardConnect);
    co_await net::pump(outside, inside, "", "");
  } catch (const Error& error) {
    // As the program itself would: nobody there, or one side broke off.
    outside.abort();
    if (error.code() == ErrorCode::canceled) throw;
  }
}

void Forwarder::notice() noexcept {
  noticed_.notify_all();
}

void Forwarder::suspend() noexcept {
  suspended_ = true;
  for (const auto& [port, forward] : forwards_) forward->outside.close();
  forwards_.clear();
  refused_.clear();
  connections_.cancel();
}

void Forwarder::resume() noexcept {
  suspended_ = false;
  noticed_.notify_all();
}

}  // namespace wrenn::envd::ports
