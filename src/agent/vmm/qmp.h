// A connection to QEMU's monitor (QMP, qemu.org "QEMU Machine Protocol Specification"), on the loop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/vmm/qmp_message.h"
#include "core/async/event.h"
#include "core/async/scope.h"
#include "linux/fd.h"

namespace wrenn::agent::vmm {

using async::Task;

class Qmp : public std::enable_shared_from_this<Qmp> {
 public:
  // Called on the loop for every event, also between a command and its answer. Must not throw.
  using EventHandler = std::function<void(const std::string& name, const json::Value& data)>;

  // Connects and leaves the greeting behind. A coroutine in `scope` reads from then on; it ends when the
  // connection does. Throws Error(unavailable | deadline_exceeded).
  static Task<std::shared_ptr<Qmp>> connect(async::Scope& scope, std::string path, EventHandler on_event,
                                            std::chrono::milliseconds timeout);
  ~Qmp();

  // Sends a command and returns its answer. `arguments` is a JSON object or empty. `pass`, when valid, goes
  // along as a descriptor (getfd, add-fd). Several callers may wait at once. Throws
  // Error(failed_precondition) with QEMU's words when it refuses, unavailable when the connection is or goes
  // down, deadline_exceeded.
  Task<json::Value> execute(std::string command, std::string arguments, std::chrono::milliseconds timeout,
                            sys::FdView pass = {});

  // Waiting commands fail; the event handler is not called any more.
  void close(std::string_view reason = "closed") noexcept;
  bool closed() const noexcept { return closed_; }

 private:
  using Socket = asio::local::stream_protocol::socket;
  struct Waiting {
    bool done = false;
    QmpMessage answer;
  };

  Qmp(async::Executor executor, Socket socket, EventHandler on_event);
  static Task<> read_all(std::shared_ptr<Qmp> self);
  void take(QmpMessage message);
  void send(std::string_view line, sys::FdView pass);

  Socket socket_;
  EventHandler on_event_;
  async::Event changed_;
  LineSplitter lines_;
  std::map<std::int64_t, Waiting*> waiting_;  // in the frames of execute()
  std::int64_t next_id_ = 1;
  bool greeted_ = false;
  bool closed_ = false;
  std::string closed_why_;
};

}  // namespace wrenn::agent::vmm
