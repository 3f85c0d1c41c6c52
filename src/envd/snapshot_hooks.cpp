#include "envd/snapshot_hooks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/log/log.h"
#include "envd/limits.h"
#include "linux/fd.h"

namespace wrenn::envd {

using async::Task;

namespace {

constexpr const char* kRoot = "/";

http::Response nothing() {
  http::Response response;
  response.status = 204;
  response.headers.set("Cache-Control", "no-store");
  return response;
}

// The argument is required by the kernel and without meaning.
void freeze_root(bool freeze) {
  const sys::Fd root = sys::open_directory(kRoot);
  if (::ioctl(root.get(), freeze ? FIFREEZE : FITHAW, 0) != 0)
    throw_errno("{} the file system {}", freeze ? "freeze" : "thaw", kRoot);
}

// Clean pages need not be in the snapshot; dirty ones are written back, so that they are on the disk.
void write_back_and_drop() {
  (void)sys::try_write_existing("/proc/sys/vm/drop_caches", "1");
  ::sync();
}

}  // namespace

void SnapshotHooks::set_connections(std::function<void()> mark, std::function<void()> cut) {
  mark_ = std::move(mark);
  cut_ = std::move(cut);
}

void SnapshotHooks::add_routes(http::Router& router) {
  const auto add = [&](std::string_view path, auto handler) {
    router.add("POST", path, [this, handler](http::Request& request, http::Reply& reply) {
      return (this->*handler)(request, reply);
    });
  };
  add("/snapshot/prepare", &SnapshotHooks::prepare);
  add("/freeze", &SnapshotHooks::freeze);
  add("/unfreeze", &SnapshotHooks::unfreeze);
  add("/fsfreeze", &SnapshotHooks::fs_freeze);
  add("/fsthaw", &SnapshotHooks::fs_thaw);
  add("/collapse", &SnapshotHooks::collapse);
}

void SnapshotHooks::recover() noexcept {
  if (!std::exchange(prepared_, false)) return;
  if (cut_) cut_();
  if (parts_.forwarder != nullptr) parts_.forwarder->resume();
}

void SnapshotHooks::thaw() noexcept {
  try {
    if (std::exchange(frozen_, false)) parts_.cgroups.set_frozen(false);
  } catch (const std::exception& error) {
    log::error("cannot let user processes go on", {{"error", error.what()}});
  }
  thaw_files();
  changed_.notify_all();
}

void SnapshotHooks::thaw_files() noexcept {
  try {
    if (std::exchange(fs_frozen_, false)) freeze_root(false);
  } catch (const std::exception& error) {
    log::error("the file system stays frozen", {{"error", error.what()}});
  }
}

Task<> SnapshotHooks::watch() {
  for (;;) {
    if (!frozen_ && !fs_frozen_) {
      co_await changed_.wait();
      continue;
    }
    const auto patience = fs_frozen_ ? SteadyClock::duration(limits::kFsFreezeMax) : limits::kFreezeMax;
    if (co_await changed_.wait_for(patience)) continue;
    log::warn("frozen for too long: going on without the host");
    thaw();
  }
}

Task<> SnapshotHooks::prepare(http::Request&, http::Reply& reply) {
  if (parts_.forwarder != nullptr) parts_.forwarder->suspend();
  if (mark_) mark_();
  ::malloc_trim(0);
  prepared_ = true;
  if (parts_.in_guest) {
    auto work = [] { write_back_and_drop(); };
    co_await async::offload(parts_.threads, std::move(work));
  }
  auto response = nothing();
  co_await reply.send(std::move(response));
}

Task<> SnapshotHooks::wait_frozen() {
  const auto deadline = SteadyClock::now() + limits::kFreezeWait;
  while (!parts_.cgroups.frozen()) {
    if (SteadyClock::now() >= deadline)
      throw_error(
          ErrorCode::deadline_exceeded,
          "not everything that users run has stopped within {} s: a process waits for a disk or a network "
          "file system; it all goes on",
          std::chrono::seconds(limits::kFreezeWait).count());
    co_await async::sleep(limits::kFreezePoll);
  }
}

Task<> SnapshotHooks::freeze(http::Request&, http::Reply& reply) {
  if (!parts_.cgroups.usable())
    throw_error(ErrorCode::failed_precondition, "nothing can be frozen: envd has no control groups here");
  const auto begin = SteadyClock::now();
  frozen_ = true;
  std::exception_ptr failure;
  try {
    parts_.cgroups.set_frozen(true);
    co_await wait_frozen();
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (failure) {
    thaw();
    std::rethrow_exception(failure);
  }
  changed_.notify_all();
  auto response = nothing();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begin);
  response.headers.set("X-Envd-Freeze-Audit", fmt::format("frozen_ms={}", took.count()));
  co_await reply.send(std::move(response));
}

Task<> SnapshotHooks::unfreeze(http::Request&, http::Reply& reply) {
  frozen_ = false;
  if (parts_.cgroups.usable()) parts_.cgroups.set_frozen(false);
  changed_.notify_all();
  auto response = nothing();
  co_await reply.send(std::move(response));
}

void SnapshotHooks::check_is_guest() const {
  if (!parts_.in_guest)
    throw_error(ErrorCode::failed_precondition,
                "the file system is this machine's own: envd freezes that of a capsule only (--in-guest)");
}

Task<> SnapshotHooks::fs_freeze(http::Request&, http::Reply& reply) {
  check_is_guest();
  auto work = [] { freeze_root(true); };
  co_await async::offload(parts_.threads, std::move(work));
  fs_frozen_ = true;
  changed_.notify_all();
  auto response = nothing();
  co_await reply.send(std::move(response));
}

Task<> SnapshotHooks::fs_thaw(http::Request&, http::Reply& reply) {
  check_is_guest();
  if (std::exchange(fs_frozen_, false)) {
    auto work = [] { freeze_root(false); };
    co_await async::offload(parts_.threads, std::move(work));
  }
  changed_.notify_all();
  auto response = nothing();
  co_await reply.send(std::move(response));
}

Task<> SnapshotHooks::collapse(http::Request&, http::Reply& reply) {
  ::malloc_trim(0);
  auto response = nothing();
  co_await reply.send(std::move(response));
}

}  // namespace wrenn::envd
