#include "envd/run.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "core/net/listener.h"
#include "envd/guest_identity.h"
#include "envd/limits.h"
#include "envd/ports/forwarder.h"
#include "envd/routes.h"
#include "envd/snapshot_hooks.h"
#include "linux/fd.h"

namespace wrenn::envd {

using async::Task;

namespace {

net::Address address_of(const Options& options) {
  return options.unix_socket ? net::Address::unix_socket(*options.unix_socket)
                             : net::Address::tcp(options.host, options.port);
}

std::string cgroup_root_of(const Options& options) {
  if (options.cgroup_root) return *options.cgroup_root;
  return options.in_guest ? sys::cgroup_mount().value_or("") : "";
}

// Transfer buffers go back to the kernel at once instead of staying in the heap, and pool threads share one
// arena: the guest's memory is for its user.
void keep_heap_small() {
  constexpr int kGiveBackBytes = 128 * 1024;
  ::mallopt(M_MMAP_THRESHOLD, kGiveBackBytes);
  ::mallopt(M_TRIM_THRESHOLD, kGiveBackBytes);
  ::mallopt(M_ARENA_MAX, 1);
}

// Whatever user code does, envd stays reachable. Its children get the ordinary values back.
void protect_from_load() {
  constexpr int kPriority = -20;
  (void)sys::try_write_existing("/proc/self/oom_score_adj", "-1000");
  if (::setpriority(PRIO_PROCESS, 0, kPriority) != 0) log::warn("cannot raise envd's priority");
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limits::kOwnDescriptors) return;
  const rlimit wanted{limits::kOwnDescriptors, std::max<rlim_t>(limit.rlim_max, limits::kOwnDescriptors)};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  limit.rlim_cur = limit.rlim_max;  // what may be had without privilege
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The linker's names for the begin of the executable and the end of its code.
extern "C" const char __executable_start, etext;

// Pages of the executable that only start-up touched (initialisers of all roles) leave our memory; what is
// used again comes back from the page cache. 7 MiB resident become 3 [measured].
void forget_startup_pages() {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(&__executable_start) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(&etext) / page * page;
  (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void print_listening(const net::Address& address) {
  std::printf("listening on %s\n", address.text().c_str());
  std::fflush(stdout);
}

// Null when nothing is to be forwarded.
std::unique_ptr<ports::Forwarder> make_forwarder(const Options& options, async::Executor executor,
                                                 async::ThreadPool& threads, const Cgroups& cgroups,
                                                 std::uint16_t own_port) {
  ports::ForwarderOptions forward;
  if (options.forward_address) forward.address = *options.forward_address;
  if (forward.address == "off" || (forward.address.empty() && !options.in_guest)) return nullptr;
  forward.own_port = own_port;
  forward.busy = [&cgroups] { return cgroups.may_be_populated(); };
  return std::make_unique<ports::Forwarder>(executor, threads, std::move(forward));
}

Task<> serve(Options options) {
  const auto executor = co_await asio::this_coro::executor;

  // 1. Threads for what may block, before anything that uses them; they end after it.
  async::ThreadPool file_threads("files", limits::kFileThreads);
  async::ThreadPool spawn_threads("spawn", limits::kSpawnThreads);

  // 2. The groups that keep user processes from taking all of the machine.
  Cgroups cgroups(cgroup_root_of(options));

  // 3. What we serve.
  process::Table processes(executor, spawn_threads, cgroups);
  net::Listener listener(executor, address_of(options));
  const auto forwarder = make_forwarder(options, executor, spawn_threads, cgroups, listener.address().port());
  if (forwarder) processes.on_start([&forwarder] { forwarder->notice(); });
  SnapshotHooks snapshots(executor, {options.in_guest, file_threads, cgroups, forwarder.get()});
  Routes routes(options.in_guest, executor, file_threads, processes, snapshots);
  if (options.in_guest) write_marker("SANDBOX", "true");

  // 4. Listen. From here on the host can reach us.
  http::ServerOptions server_options;
  server_options.name = "envd";
  server_options.render_error = &Routes::render_error;
  http::Server server(
      executor,
      [&routes](http::Request& request, http::Reply& reply) { return routes.handle(request, reply); },
      server_options);
  snapshots.set_connections([&server] { server.mark_connections(); }, [&server] { server.cut_marked(); });
  async::Scope scope(executor, "envd");
  scope.spawn(server.serve(listener));
  async::Scope background(executor, "envd background");
  background.spawn(snapshots.watch());
  background.spawn(routes.run());
  if (forwarder) background.spawn(forwarder->run());
  log::info("envd is ready", {{"address", listener.address().text()}, {"version", api::envd::kVersion}});
  if (options.print_address) print_listening(listener.address());
  forget_startup_pages();

  // 5. Until we are told to stop. Processes first: their streams then end by themselves, with an end event.
  std::exception_ptr failure;
  try {
    co_await async::wait_for_stop_signal();
  } catch (...) {
    failure = std::current_exception();
  }
  background.cancel();
  snapshots.thaw();  // or the processes could not end
  co_await processes.stop();
  co_await routes.stop();
  co_await server.stop(limits::kStopGrace);
  co_await scope.join();
  co_await background.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void run(const Options& options) {
  log::set_role("envd");
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe or socket is an error of its write
  ::umask(022);
  keep_heap_small();
  raise_descriptor_limit();
  if (options.in_guest) protect_from_load();
  const bool watch = false;  // an idle guest must be able to sleep
  async::run_loop("envd", [&options] { return serve(options); }, watch);
}

}  // namespace wrenn::envd
