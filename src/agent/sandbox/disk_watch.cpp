#include "agent/sandbox/disk_watch.h"

#include <chrono>
#include <utility>

#include "agent/limits.h"
#include "api/agent.h"
#include "core/async/offload.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

using disk::StoreRoom;

namespace {

class Watcher {
 public:
  Watcher(Host& host, DiskWatch& watch) : host_(host), watch_(watch) {}

  Task<> run() {
    while (!watch_.machine->ended()) {
      if (!watch_.busy()) {
        try {
          co_await look();
        } catch (const Error& error) {
          if (error.code() == ErrorCode::canceled) throw;
          if (error.code() == ErrorCode::data_loss) {
            watch_.lost(error.what());
            co_return;
          }
          if (!std::exchange(failed_, true))
            log::error("cannot watch the room for a disk",
                       {{"sandbox_id", watch_.sandbox_id}, {"error", error.what()}});
        }
      }
      co_await async::sleep(until_next_look());
    }
  }

 private:
  std::chrono::milliseconds until_next_look() const {
    if (stopped_) return limits::kDiskLookStopped;
    return scarce_ ? limits::kDiskLookScarce : limits::kDiskLook;
  }

  Task<> look() {
    auto ask = [&mechanisms = host_.mechanisms, disk = watch_.disk] { return mechanisms.disk_level(disk); };
    const disk::StoreLevel level = co_await async::offload(host_.sys, std::move(ask));
    failed_ = false;
    scarce_ = level.free_bytes < limits::kDiskScarceBytes;
    // Between here and the command to the machine nothing waits, so an operation that begins now comes after
    // it.
    if (watch_.busy()) co_return;
    if (level.room == StoreRoom::none) {
      // Set before the command: whatever becomes of it, the machine must be let run on some day.
      stopped_ = true;
      co_await watch_.machine->pause();
      if (!std::exchange(told_, true)) tell_stop();
    } else if (stopped_) {
      co_await watch_.machine->resume();
      stopped_ = told_ = false;
      watch_.tell({});
      log::warn("the host's disk has room again: a sandbox runs on", {{"sandbox_id", watch_.sandbox_id}});
    }
    const bool low = level.room != StoreRoom::ample;
    if (low && !low_ && !stopped_)
      log::warn("the host's disk is nearly full: sandboxes that write on will be stopped; free space",
                {{"sandbox_id", watch_.sandbox_id}, {"disk", watch_.disk.cow_path}});
    low_ = low;
  }

  void tell_stop() {
    host_.figures.stopped_for_room();
    watch_.tell(std::string(api::agent::kHostDiskFull) +
                ": it stands still, so that it loses nothing, and runs on when there is room");
    log::error("the host's disk is full: a sandbox stands still, so that it loses nothing; free space",
               {{"sandbox_id", watch_.sandbox_id}, {"disk", watch_.disk.cow_path}});
  }

  Host& host_;
  DiskWatch& watch_;
  bool scarce_ = false;
  bool low_ = false;
  bool stopped_ = false;
  bool told_ = false;
  bool failed_ = false;
};

}  // namespace

Task<> watch_disk(Host& host, DiskWatch watch) {
  if (watch.disk.kind != disk::DiskKind::dm_snapshot) co_return;
  const ScopeGuard forget([&] { watch.tell({}); });
  Watcher watcher(host, watch);
  co_await watcher.run();
}

}  // namespace wrenn::agent::sandbox
