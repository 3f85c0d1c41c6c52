// Forwarder: programs that listen on loopback only are reachable at the guest's own address too.
//
//   host ──► 169.254.0.21:8000  ──accept──► connect 127.0.0.1:8000 ──► the user's program
//            (listens as long as the program does)      pump both ways
//
// /proc/net/tcp is looked at every kPortScan while a user's program runs, and rarely when none does: an idle
// guest must be able to sleep.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/async/offload.h"
#include "core/async/scope.h"
#include "core/net/listener.h"
#include "envd/ports/listeners.h"

namespace wrenn::envd::ports {

using async::Task;

struct ForwarderOptions {
  std::string address;         // to listen on; empty: the address of eth0, as soon as it has one
  std::uint16_t own_port = 0;  // never forwarded: envd's own
  std::function<bool()> busy;  // whether programs of users may be running; empty: always
};

// The IPv4 address of an interface; absent when it has none.
std::optional<std::string> interface_address(const std::string& name);

class Forwarder {
 public:
  // `threads` must outlive this. run() must have ended before the destructor.
  Forwarder(async::Executor executor, async::ThreadPool& threads, ForwarderOptions options);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // Until it is cancelled.
  Task<> run();
  // A program of a user's has been started: look soon.
  void notice() noexcept;
  // Before a snapshot: stops listening and cuts what is open, until resume().
  void suspend() noexcept;
  void resume() noexcept;

  std::size_t ports() const noexcept { return forwards_.size(); }

 private:
  struct Forward;
  Task<> scan_for_ever();
  Task<> scan();
  void apply(const std::vector<LoopbackListener>& listeners);
  void begin(const LoopbackListener& listener);
  Task<> accept_on(std::shared_ptr<Forward> forward);
  Task<> pass_on(std::shared_ptr<Forward> forward, net::Stream outside);

  async::Executor executor_;
  async::ThreadPool& threads_;
  ForwarderOptions options_;
  std::map<std::uint16_t, std::shared_ptr<Forward>> forwards_;
  std::map<std::uint16_t, std::string> refused_;  // port → why; told once
  async::Event noticed_;
  bool suspended_ = false;
  async::Scope acceptors_;
  async::Scope connections_;
};

}  // namespace wrenn::envd::ports
