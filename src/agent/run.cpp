#include "agent/run.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "agent/host_checks.h"
#include "agent/host_info.h"
#include "agent/host_sampler.h"
#include "agent/journal.h"
#include "agent/limits.h"
#include "agent/network/host_network.h"
#include "agent/routes.h"
#include "agent/sandbox/registry.h"
#include "agent/sandbox/spares.h"
#include "agent/vmm/acceleration.h"
#include "agent/vmm/qemu.h"
#include "agent/vmm/tsc.h"
#include "core/async/loop.h"
#include "core/async/timeout.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/capabilities.h"
#include "linux/fd.h"
#include "linux/file.h"

namespace wrenn::agent {

namespace {

using async::Task;

// Absolute and without links, because claims compare it.
std::string prepare_directory(const std::string& asked) {
  // Guests' users pass through to the files that are theirs, so everybody may enter, and nobody may list.
  sys::make_directories(asked, 0755);
  const std::unique_ptr<char, void (*)(void*)> real(realpath(asked.c_str(), nullptr), std::free);
  if (!real) throw_errno("resolve {}", asked);
  const std::string directory = real.get();
  for (const char* part : {"/sandboxes", "/snapshots"}) sys::make_directories(directory + part, 0711);
  // Guests' memory and disks; VMMs get them as descriptors.
  for (const char* part : {"/layers", "/golden", "/checkpoints"})
    sys::make_directories(directory + part, 0700);
  return directory;
}

// Held as long as the agent lives; the kernel frees it however we end.
sys::Fd lock_directory(const std::string& directory) {
  const std::string path = directory + "/agent.lock";
  sys::Fd file = sys::open_file(path, O_RDWR | O_CREAT, 0600);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw_errno("lock {}", path);
    const std::string pid = sys::read_up_to(file, 32);
    throw_error(ErrorCode::already_exists,
                "another agent{} uses {}; stop it, or give this one a directory of its own (--dir)",
                pid.empty() ? "" : " (process " + pid + ")", directory);
  }
  if (ftruncate(file.get(), 0) != 0) throw_errno("truncate {}", path);
  sys::write_full(file, std::to_string(getpid()));
  return file;
}

void log_checks(const std::string& directory) {
  for (const HostCheck& check : examine_host(directory)) {
    if (check.verdict == HostCheck::Verdict::fine) continue;
    const auto level = check.verdict == HostCheck::Verdict::failure ? log::Level::error : log::Level::warn;
    log::write(level, "host check",
               {{"check", check.name}, {"finding", check.finding}, {"remedy", check.remedy}});
  }
}

sandbox::EngineSource engine_source(async::Scope& scope, async::ThreadPool& sys, const Config& config,
                                    const std::string& directory) {
  sandbox::EngineSource source;
  source.make_vmm = [&scope, &sys, qemu = config.qemu] {
    vmm::QemuOptions options;
    options.binary = qemu;
    std::string version = vmm::find_qemu_version(options.binary);
    return vmm::make_qemu(scope, sys, std::move(options), std::move(version));
  };
  source.find_acceleration = [wanted = config.acceleration, qemu = config.qemu, directory](
                                 const vmm::Vmm& vmm, const templates::Kernel& kernel) {
    if (wanted == "kvm") return vmm::Acceleration::kvm;
    if (wanted == "tcg") return vmm::Acceleration::tcg;
    vmm::AccelerationProbe probe;
    probe.vmm_binary = qemu;
    probe.vmm_version = vmm.version();
    probe.kernel = kernel.path;
    probe.record_path = directory + "/acceleration.json";
    const vmm::AccelerationAnswer answer = vmm::find_acceleration(probe);
    vmm::host_tsc_khz();  // measures for some milliseconds the first time: here, not on the loop
    log::info("acceleration", {{"kind", to_string(answer.kind)}, {"why", answer.why}});
    return answer.kind;
  };
  return source;
}

disk::DiskKind disk_kind(const std::string& wanted) {
  if (wanted == "dm_snapshot") return disk::DiskKind::dm_snapshot;
  if (wanted == "qcow2") return disk::DiskKind::qcow2;
  const disk::DiskKindAnswer answer = disk::find_disk_kind();
  log::info("disks of sandboxes", {{"kind", to_string(answer.kind)}, {"why", answer.why}});
  return answer.kind;
}

// Asks for the acceleration as soon as there is a kernel, so that the first create need not wait for the
// probe; then says what this host lacks (the probe is remembered, so the checks do not repeat it).
Task<> warm_up(sandbox::Host& host) {
  (void)co_await host_info(host);
  auto check = [directory = host.directory] { log_checks(directory); };
  co_await async::offload(host.sys, std::move(check));
}

// What blocks at the start, in one piece: see serve().
struct Ground {
  std::string directory;
  sys::Fd lock;
  std::string cgroup;
  disk::DiskKind disk_kind = disk::DiskKind::qcow2;
  Secret seal_key;
};
Ground prepare_ground(const Config& config) {
  // Network namespaces, TAPs and mounts: without these two nothing works, and every later message would be a
  // riddle.
  const auto missing =
      sys::missing_capabilities(sys::effective_capabilities(), {CAP_NET_ADMIN, CAP_SYS_ADMIN});
  if (!missing.empty())
    throw_error(ErrorCode::permission_denied,
                "the agent lacks {}: run it as root, or grant them to its service (AmbientCapabilities=)",
                join(missing, ", "));
  Ground ground;
  ground.directory = prepare_directory(config.dir);
  ground.lock = lock_directory(ground.directory);
  try {
    network::prepare_host_network({});
  } catch (const Error& error) {
    log::error("cannot prepare the host's network; creating sandboxes will fail",
               {{"error", describe(error)}});
  }
  std::string problem;
  ground.cgroup = prepare_sandbox_cgroup(problem);
  if (!problem.empty())
    log::warn("sandboxes run without limits of their own on the host", {{"why", problem}});
  ground.disk_kind = disk_kind(config.disk);
  ground.seal_key = snapshot::load_seal_key(ground.directory + "/snapshot.key");
  return ground;
}

Task<> listen_until(const Config& config, const Hooks& hooks, sandbox::Host& host,
                    sandbox::Registry& registry, const HostSampler& sampler) {
  const auto executor = co_await asio::this_coro::executor;
  const http::Router router = make_routes(host, registry, sampler);
  http::ServerOptions options;
  options.name = "wrenn-agent";
  options.render_error = render_error;
  options.head_limits.head_bytes += limits::kAddedHeadBytes;
  options.head_limits.target_bytes += limits::kAddedHeadBytes;
  options.head_limits.header_count += limits::kAddedFields;
  http::Server server(executor, make_handler(router, config.token), std::move(options));
  net::Listener listener(executor, net::Address::parse(config.effective_listen()), 0600);
  log::info("the agent listens", {{"address", listener.address().text()}, {"directory", host.directory}});
  if (hooks.ready) hooks.ready(listener.address());

  std::exception_ptr error;
  try {
    auto serving = server.serve(listener);
    auto end = hooks.until();
    co_await async::first_of(std::move(serving), std::move(end));
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  registry.changes().close();  // calls that wait for one would use up the grace
  co_await server.stop(limits::kShutdownGrace);
  if (error && !async::is_cancellation(error)) std::rethrow_exception(error);
}

// Recovers, serves, and ends the sandboxes' drivers however serving ended.
Task<> live(const Config& config, const Hooks& hooks, sandbox::Host& host) {
  const auto executor = co_await asio::this_coro::executor;
  sandbox::Registry registry(host);
  std::optional<sandbox::Spares> spares;
  if (config.ready_sandboxes > 0) {
    spares.emplace(host, static_cast<std::size_t>(config.ready_sandboxes));
    host.spares = &*spares;
  }
  HostSampler sampler(host.sys, [directory = host.directory] { return read_host(directory); });
  async::Scope background(executor, "agent");
  std::exception_ptr error;
  try {
    background.spawn(sampler.run());
    co_await registry.recover();
    background.spawn(registry.watch_idle());
    background.spawn(host.slots.fill());
    background.spawn(host.layers.watch());
    background.spawn(warm_up(host));
    background.spawn(registry.warm_templates());
    if (spares) background.spawn(spares->fill());
    co_await listen_until(config, hooks, host, registry, sampler);
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  background.cancel();
  co_await background.join();
  if (config.on_exit == "pause") {
    try {
      co_await registry.pause_all();
    } catch (const Error& failure) {
      log::error("not all sandboxes could be paused; they go on running", {{"error", describe(failure)}});
    }
  }
  co_await registry.close();
  host.spares = nullptr;
  if (spares) co_await spares->close();
  co_await host.slots.close();
  if (error) std::rethrow_exception(error);
}

}  // namespace

Task<> serve(Config config, Hooks hooks) {
  log::set_role("agent");
  const auto executor = co_await asio::this_coro::executor;
  async::ThreadPool sys("sys", limits::kSysThreads);

  // 1. The directory is ours alone, and the host is ready for sandboxes as far as it can be. What is missing
  // is said now
  //    and again by the create that needs it: an agent without a kernel or an image still starts.
  auto prepare = [&config] { return prepare_ground(config); };
  const Ground ground = co_await async::offload(sys, std::move(prepare));

  // 2. What all sandboxes share.
  async::Scope machines(executor, "machines");
  Journal journal(ground.directory + "/sandboxes");
  HostMechanismsOptions mechanism_options;
  mechanism_options.directory = ground.directory;
  mechanism_options.disk_kind = ground.disk_kind;
  mechanism_options.cgroup = ground.cgroup;
  const auto mechanisms = make_host_mechanisms(std::move(mechanism_options));
  metrics::Registry figures_registry;
  sandbox::Figures figures(figures_registry);
  sandbox::Engine engine(executor, sys, engine_source(machines, sys, config, ground.directory));
  sandbox::SlotPoolOptions slot_options;
  slot_options.max = static_cast<std::size_t>(config.slots);
  slot_options.ready = static_cast<std::size_t>(config.ready_slots);
  sandbox::SlotPool slots(executor, sys, *mechanisms, figures, slot_options);
  sandbox::BootQueue boots(executor, std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  sandbox::Layers layers(executor, sys, ground.directory);
  sandbox::MemoryBases bases(executor, sys, *mechanisms);
  sandbox::Host host{.directory = ground.directory,
                     .executor = executor,
                     .sys = sys,
                     .mechanisms = *mechanisms,
                     .journal = journal,
                     .engine = engine,
                     .slots = slots,
                     .boots = boots,
                     .layers = layers,
                     .bases = bases,
                     .figures = figures,
                     .agent_version = WRENN_VERSION,
                     .seal_key = ground.seal_key};

  // 3. Adopt what runs, sweep what is nobody's, then answer; at the end the machines live on without us, or
  // are paused.
  auto living = live(config, hooks, host);
  co_await machines.run(std::move(living));
}

void run(const Config& config) {
  log::set_level(config.log_level);
  async::run_loop("agent", [&config] {
    Hooks hooks;
    hooks.until = []() -> Task<> {
      const int number = co_await async::wait_for_stop_signal();
      log::info("ending", {{"signal", number}});
    };
    return serve(config, std::move(hooks));
  });
}

}  // namespace wrenn::agent
