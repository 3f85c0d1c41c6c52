// The watching calls of filesystem.Filesystem: WatchDir (a stream), and for clients that poll CreateWatcher,
// GetWatcherEvents, RemoveWatcher (spec/envd.md §10.2, spec/e2b/envd-api.md §5).
//
// A stream has no queue of its own: while its client does not read, events wait in the kernel, which bounds
// them. A polled watcher has one, bounded by limits::kWatcherQueueBytes. When either overflows the client is
// told (data_loss): a stream ends, a polled watcher answers so once and begins anew.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/envd.h"
#include "core/async/scope.h"
#include "core/http/connect_rpc.h"
#include "core/http/router.h"
#include "envd/defaults.h"
#include "envd/files/watcher.h"

namespace wrenn::envd::files {

class WatchService {
 public:
  // Both must outlive this.
  WatchService(async::Executor executor, async::ThreadPool& threads, const Defaults& defaults);
  ~WatchService();  // stop() must have ended

  // Adds the routes; this must outlive the router.
  void add_routes(http::Router& router);
  // Ends all streams and watchers.
  async::Task<> stop();

 private:
  struct Polled;
  class Seat;
  using Call = const http::Request&;
  template <typename T = void>
  using Task = async::Task<T>;

  Task<> watch_dir(http::Request& request, http::Reply& reply, http::ConnectStream& stream);
  Task<api::envd::WatcherMessage> create(api::envd::WatchRequest message, Call call);
  Task<std::string> events(api::envd::WatcherMessage message, Call call);
  Task<api::envd::Empty> remove(api::envd::WatcherMessage message, Call call);

  Task<> forward(http::ConnectStream& stream, Watcher& watcher, SteadyClock::duration keepalive);
  Task<> collect(std::shared_ptr<Polled> polled);
  WatchOptions options_of(const api::envd::WatchRequest& message, Call call) const;
  void make_room();
  void end(Polled& polled);

  async::ThreadPool& threads_;
  const Defaults& defaults_;
  const std::shared_ptr<WatchBudget> budget_ = std::make_shared<WatchBudget>();
  std::size_t open_ = 0;          // streams and polled watchers
  std::size_t queued_bytes_ = 0;  // of all polled ones
  std::set<Watcher*> streams_;
  std::map<std::string, std::shared_ptr<Polled>> polled_;
  bool stopping_ = false;
  async::Scope scope_;  // collects for the polled ones
};

}  // namespace wrenn::envd::files
