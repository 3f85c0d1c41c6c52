// What envd does before its machine is snapshotted and after it is resumed (spec/envd.md §8,
// spec/e2b/envd-guest.md §3.4). A resumed guest does not know that it was away; the host tells it by the
// first call.
//
//   POST /snapshot/prepare   port forwarding stops, caches are dropped and written back: less to save
//   POST /freeze             what users run stops (control groups); answered once all of it has
//   POST /fsfreeze           the root file system is written back and stays as it is
//   POST /collapse           envd gives back the memory that it does not need
//        … snapshot, resume …
//   GET /health, POST /init  connections from before the snapshot are cut, forwarding goes on
//   POST /unfreeze, /fsthaw  or /init, which does both once the new token is in force
#pragma once

#include <functional>

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "core/http/router.h"
#include "envd/cgroups.h"
#include "envd/ports/forwarder.h"

namespace wrenn::envd {

class SnapshotHooks {
 public:
  struct Parts {
    bool in_guest;  // the file system and the caches are ours
    async::ThreadPool& threads;
    Cgroups& cgroups;
    ports::Forwarder* forwarder;  // may be null
  };
  // What `parts` refers to must outlive this.
  SnapshotHooks(async::Executor executor, Parts parts) : parts_(parts), changed_(executor) {}

  // What to do with the server's connections: `mark` those that are open; later `cut` the marked ones that
  // have not begun a request since. Set before anything is served.
  void set_connections(std::function<void()> mark, std::function<void()> cut);
  void add_routes(http::Router& router);

  // At every sign of the host: undoes /snapshot/prepare, once.
  void recover() noexcept;
  // At /init: lets go on what is frozen. Never throws: what fails is logged.
  void thaw() noexcept;
  // The file system only, before /init writes to it.
  void thaw_files() noexcept;
  // Lets go on what the host has left frozen for too long. Until it is cancelled.
  async::Task<> watch();

 private:
  using Task = async::Task<>;
  Task prepare(http::Request& request, http::Reply& reply);
  Task freeze(http::Request& request, http::Reply& reply);
  Task unfreeze(http::Request& request, http::Reply& reply);
  Task fs_freeze(http::Request& request, http::Reply& reply);
  Task fs_thaw(http::Request& request, http::Reply& reply);
  Task collapse(http::Request& request, http::Reply& reply);
  Task wait_frozen();
  void check_is_guest() const;

  Parts parts_;
  std::function<void()> mark_, cut_;
  async::Event changed_;
  bool prepared_ = false;
  bool frozen_ = false;
  bool fs_frozen_ = false;
};

}  // namespace wrenn::envd
