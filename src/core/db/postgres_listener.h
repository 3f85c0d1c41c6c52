// The one connection of a process on which the server says what others (and this process itself) have told
// of.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/async/loop_thread.h"
#include "core/async/offload.h"
#include "core/async/stop_flag.h"
#include "core/db/notifications.h"

namespace wrenn::db {

// The channel of the server, as an SQL expression: installations that share a database have a schema each.
inline constexpr std::string_view kServerChannel = "'wrenn:' || left(current_schema(), 57)";
// What goes through it is "<our channel> <payload>".

class PostgresListener {
 public:
  // Listens from here on, on a thread of its own; connects again, ever more slowly, whenever it is cut off.
  // `threads` connect, and must outlive this.
  PostgresListener(std::string url, std::shared_ptr<Notifications> told, async::ThreadPool& threads);
  ~PostgresListener();

  bool listening() const noexcept { return listening_; }

 private:
  async::Task<> run();
  async::Task<> keep_listening();
  async::Task<> listen_once();

  const std::string url_;
  const std::shared_ptr<Notifications> told_;
  async::ThreadPool& threads_;
  std::atomic<bool> listening_ = false;
  async::StopFlag stop_;
  async::LoopThread thread_;  // last: it uses what stands above
};

}  // namespace wrenn::db
