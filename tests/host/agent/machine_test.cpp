// Real machines with a guest that checks its own memory and disk all the time (probe_guest.cpp): boot, pause,
// resume, adoption, and the ways to end.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "agent/disk/root_disk.h"
#include "agent/snapshot/snapshot.h"
#include "agent/template/catalogue.h"
#include "agent/vmm/acceleration.h"
#include "agent/vmm/command_line.h"
#include "agent/vmm/identity.h"
#include "agent/vmm/qemu.h"
#include "agent/vmm/tsc.h"
#include "core/async/loop.h"
#include "core/async/offload.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "guest/initramfs.h"
#include "host_test.h"
#include "linux/file.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent;
using namespace wrenn::host_test;
using async::Task;
using vmm::MachineEnd;

namespace {

constexpr std::uint64_t kImageBytes = 64ULL * 1024 * 1024;
constexpr int kMemoryMib = 256;
constexpr auto kBoots = std::chrono::seconds(120);  // on a machine that does something else as well
constexpr auto kTicks = std::chrono::seconds(20);

// The directory where kernels are installed: that of the tests, prepared by tests/host/run.sh, or the default
// one.
std::string kernel_directory() {
  const char* directory = std::getenv("WRENN_TEST_DIR");
  return directory != nullptr ? directory : "/var/lib/wrenn";
}

std::string problem() {
  if (const std::string root = root_problem(); !root.empty()) return root;
  try {
    vmm::find_qemu_version("qemu-system-x86_64");
    const auto kernel = templates::find_kernel(kernel_directory());
    if (kernel.initramfs.empty())
      return "the installed kernel is not the distribution's: it has no modules to pack";
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// Everything that one machine needs, and what outlives it in a pause.
struct Workshop {
  explicit Workshop(async::Executor executor)
      : directory(sys::TempDir::create("/tmp/wrenn-test-")),
        scope(executor, "machines"),
        qemu(vmm::make_qemu(scope, pool, {}, vmm::find_qemu_version("qemu-system-x86_64"))) {
    const auto kernel = templates::find_kernel(kernel_directory());
    const std::string modules = kernel.path.substr(0, kernel.path.rfind('/')) + "/modules";
    guest::InitramfsOptions archive;
    archive.output = path("initramfs");
    archive.modules = modules;
    archive.init_binary = std::filesystem::read_symlink("/proc/self/exe").replace_filename("probe_guest");
    guest::write_initramfs(archive);
    sys::create_sparse_file(path("image"), kImageBytes);
    disk::DiskSpec spec;
    spec.sandbox_id = "cl-test";
    spec.image = path("image");
    spec.cow_path = path("cow");
    root = disk::create_disk(disk::DiskKind::qcow2, spec);
    base = snapshot::MemoryBase::zeros(kMemoryMib);
    sys::make_directories(path("run"), 0700);

    vmm::BootParameters boot;
    boot.tsc_khz = vmm::host_tsc_khz();
    config.sandbox_id = "cl-test";
    config.memory_mib = kMemoryMib;
    config.kernel = kernel.path;
    config.initramfs = path("initramfs");
    config.command_line = vmm::kernel_command_line(boot);
    config.memory = base->fd();
    config.memory_mapping = base->mapping();
    config.disk = disk::disk_source(root);
    config.identity = vmm::machine_identity(network_slot, vmm::Acceleration::tcg);
    config.run_directory = path("run");
  }

  std::string path(std::string_view name) const { return directory.path() + "/" + std::string(name); }
  std::string snapshots() const { return path("snapshots"); }

  static constexpr int network_slot = 32760;
  sys::TempDir directory;
  async::ThreadPool pool{"sys", 2};
  async::Scope scope;
  std::unique_ptr<vmm::Vmm> qemu;
  disk::DiskRecord root;
  std::shared_ptr<const snapshot::MemoryBase> base;
  vmm::MachineConfig config;
  Secret key{"the key of the test"};
};

vmm::Vmm::Fill fill_from(const snapshot::Snapshot& snapshot) {
  return [&snapshot](const vmm::MachineRecord& machine) {
    snapshot::restore_pages(*snapshot.pages, snapshot.manifest.pages_checksum, machine);
  };
}

// The last number that the guest counted to; -1 before the first.
long last_tick(const std::string& console) {
  const auto at = console.rfind("tick ");
  return at == std::string::npos ? -1 : std::strtol(console.c_str() + at + 5, nullptr, 10);
}

Task<std::string> wait_for_tick(vmm::Machine& machine, long tick, std::chrono::seconds patience) {
  const SteadyTime deadline = SteadyClock::now() + patience;
  for (;;) {
    std::string console = co_await machine.console();
    if (last_tick(console) >= tick || SteadyClock::now() > deadline || machine.ended()) co_return console;
    co_await async::sleep(std::chrono::milliseconds(10));
  }
}

// Pauses into a snapshot and ends the machine, as the agent does.
Task<snapshot::PagesSummary> pause(Workshop& shop, vmm::Machine& machine) {
  const SteadyTime start = SteadyClock::now();
  co_await machine.pause();
  auto draft = snapshot::Draft::begin(shop.snapshots(), "cl-test");
  co_await machine.save_state(draft.state_file());
  const SteadyTime saved = SteadyClock::now();
  const auto written = draft.write_pages(machine.record());
  const SteadyTime wrote = SteadyClock::now();
  snapshot::Manifest manifest;
  manifest.sandbox_id = "cl-test";
  manifest.vcpus = shop.config.vcpus;
  manifest.memory_mib = kMemoryMib;
  manifest.vmm_version = shop.qemu->version();
  manifest.acceleration = shop.config.acceleration;
  manifest.cpu_model = shop.qemu->cpu_model(shop.config.acceleration);
  manifest.disk = shop.root;
  draft.commit(manifest, shop.key);
  const SteadyTime committed = SteadyClock::now();
  co_await machine.stop();
  const auto ms = [](auto duration) { return std::chrono::duration<double, std::milli>(duration).count(); };
  std::printf(
      "pause: state %.1f ms, memory %.1f ms (%.1f MiB dirty, %.1f of them zero), durable %.1f ms, stop %.1f "
      "ms\n",
      ms(saved - start), ms(wrote - saved), static_cast<double>(written.dirty_bytes) / 1048576,
      static_cast<double>(written.zero_bytes) / 1048576, ms(committed - wrote),
      ms(SteadyClock::now() - committed));
  co_return written;
}

Task<std::unique_ptr<vmm::Machine>> resume(Workshop& shop) {
  const SteadyTime start = SteadyClock::now();
  const auto snapshot = snapshot::load(shop.snapshots(), "cl-test", shop.key);
  if (!snapshot) throw_error(ErrorCode::not_found, "no snapshot");
  snapshot::check(snapshot->manifest, {shop.qemu->version(), shop.config.acceleration,
                                       shop.qemu->cpu_model(shop.config.acceleration)});
  const sys::Fd state = snapshot::open_device_state(*snapshot);
  auto fill = fill_from(*snapshot);
  auto machine = co_await shop.qemu->restore(shop.config, state, std::move(fill));
  const SteadyTime restored = SteadyClock::now();
  snapshot::retire(*snapshot);
  co_await machine->resume();
  const auto ms = [](auto duration) { return std::chrono::duration<double, std::milli>(duration).count(); };
  std::printf("resume: restored %.1f ms, running %.1f ms\n", ms(restored - start),
              ms(SteadyClock::now() - start));
  co_return machine;
}

Task<> finish(Workshop& shop) {
  shop.scope.cancel();
  co_await shop.scope.join();
}

Task<> boot_pause_resume() {
  auto executor = co_await asio::this_coro::executor;
  Workshop shop(executor);
  const SteadyTime start = SteadyClock::now();
  auto machine = co_await shop.qemu->start(shop.config);
  const auto started = elapsed_ms(start);
  std::string console = co_await wait_for_tick(*machine, 0, kBoots);
  std::printf("boot: process %ld ms, first line of the guest's init %ld ms\n", static_cast<long>(started),
              static_cast<long>(elapsed_ms(start)));
  CAPTURE(console);
  REQUIRE(last_tick(console) >= 0);
  CHECK(console.find("disk yes") != std::string::npos);
  long tick = last_tick(co_await wait_for_tick(*machine, 3, kTicks));
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    const auto written = co_await pause(shop, *machine);
    // Half of the guest's 16 MiB have just been zeroed, and most of the rest of a booted kernel is not.
    CHECK(written.zero_bytes >= 7U << 20);
    CHECK(written.dirty_bytes < 128U << 20);
    CHECK(machine->ended()->cause == MachineEnd::Cause::stopped);
    machine = co_await resume(shop);
    CHECK_FALSE(snapshot::load(shop.snapshots(), "cl-test", shop.key));  // retired
    console = co_await wait_for_tick(*machine, tick + 3, kTicks);
    INFO(console);
    CHECK(last_tick(console) >= tick + 3);
    CHECK(last_tick(console) < tick + 1000);  // it went on, and did not begin again
    CHECK(console.find("BAD") == std::string::npos);
    CHECK(console.find("probe guest up") == std::string::npos);
    tick = last_tick(console);
  }
  co_await machine->stop();
  machine.reset();
  snapshot::remove(shop.snapshots(), "cl-test");
  disk::destroy_disk(shop.root);
  co_await finish(shop);
}

Task<> failed_resume_changes_nothing() {
  auto executor = co_await asio::this_coro::executor;
  Workshop shop(executor);
  auto machine = co_await shop.qemu->start(shop.config);
  const long tick = last_tick(co_await wait_for_tick(*machine, 2, kBoots));
  REQUIRE(tick >= 2);
  co_await pause(shop, *machine);
  machine.reset();
  const auto snapshot = snapshot::load(shop.snapshots(), "cl-test", shop.key);
  REQUIRE(snapshot);

  // A state that is none: QEMU ends, and says so.
  const std::string broken = shop.path("broken-state");
  sys::write_file_atomic(broken, "this is no device state", 0600);
  const sys::Fd state = sys::open_file(broken, O_RDONLY);
  auto fill = fill_from(*snapshot);
  std::string message;
  try {
    (void)co_await shop.qemu->restore(shop.config, state, std::move(fill));
  } catch (const Error& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(message.find("saved state") != std::string::npos);
  // The snapshot's own check finds a changed state before that.
  {
    const sys::Fd file = sys::open_file(snapshot->directory + "/device-state", O_RDWR);
    std::byte first{};
    sys::pread_full(file, std::span(&first, 1), 100);
    const std::byte changed = first ^ std::byte{1};
    sys::pwrite_full(file, std::span(&changed, 1), 100);
    CHECK_THROWS_AS(snapshot::load(shop.snapshots(), "cl-test", shop.key), Error);
    sys::pwrite_full(file, std::span(&first, 1), 100);
  }
  machine = co_await resume(shop);
  const std::string console = co_await wait_for_tick(*machine, tick + 2, kTicks);
  CHECK(last_tick(console) >= tick + 2);
  CHECK(console.find("BAD") == std::string::npos);
  co_await machine->stop();
  machine.reset();
  co_await finish(shop);
}

Task<> adoption_and_ends() {
  auto executor = co_await asio::this_coro::executor;
  Workshop shop(executor);
  auto machine = co_await shop.qemu->start(shop.config);
  const vmm::MachineRecord record = machine->record();
  CHECK(last_tick(co_await wait_for_tick(*machine, 1, kBoots)) >= 1);
  const auto status = sys::try_read_file(fmt::format("/proc/{}/status", record.pid), 1 << 16);
  REQUIRE(status);
  CHECK(status->find(fmt::format("Uid:\t{0}\t{0}", shop.config.identity->uid)) != std::string::npos);
  CHECK(status->find("Seccomp:\t2") != std::string::npos);
  CHECK(status->find("CapEff:\t0000000000000000") != std::string::npos);

  machine.reset();  // the agent goes, the machine stays
  auto adopted = co_await shop.qemu->adopt(record);
  REQUIRE(adopted);
  const long tick = last_tick(co_await wait_for_tick(*adopted, 1, kTicks));
  CHECK(last_tick(co_await wait_for_tick(*adopted, tick + 2, kTicks)) >= tick + 2);
  vmm::MachineRecord other = record;
  other.start_time += 1;
  CHECK_FALSE(co_await shop.qemu->adopt(other));

  ::kill(static_cast<pid_t>(record.pid), SIGKILL);  // by somebody else
  const MachineEnd killed = co_await adopted->wait_end();
  CHECK(killed.cause == MachineEnd::Cause::failed);
  CHECK_FALSE(co_await shop.qemu->adopt(record));
  bool refused = false;
  try {
    co_await adopted->pause();
  } catch (const Error& error) {
    refused = error.code() == ErrorCode::unavailable;
  }
  CHECK(refused);
  adopted.reset();

  // Without its initramfs the kernel panics, which resets the machine.
  vmm::MachineConfig config = shop.config;
  config.initramfs.clear();
  machine = co_await shop.qemu->start(config);
  const MachineEnd panicked = co_await machine->wait_end();
  INFO(describe(panicked));
  CHECK(panicked.cause == MachineEnd::Cause::reset);
  CHECK(panicked.console.find("Kernel panic") != std::string::npos);
  machine.reset();

  // QEMU's own complaint reaches the caller.
  config.kernel = shop.path("no-kernel");
  sys::write_file_atomic(config.kernel, "this is no kernel", 0644);
  std::string message;
  try {
    machine = co_await shop.qemu->start(config);
    const MachineEnd end = co_await async::with_timeout(kTicks, "QEMU's end", machine->wait_end());
    message = describe(end);
  } catch (const Error& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(message.find("kernel") != std::string::npos);
  machine.reset();
  co_await finish(shop);
}

Task<> probe_acceleration() {
  const auto directory = sys::TempDir::create("/tmp/wrenn-test-");
  vmm::AccelerationProbe probe;
  probe.vmm_binary = "qemu-system-x86_64";
  probe.vmm_version = "qemu test";
  probe.kernel = templates::find_kernel(kernel_directory()).path;
  probe.record_path = directory.path() + "/acceleration.json";
  const auto first = vmm::find_acceleration(probe);
  std::printf("acceleration: %s: %s\n", std::string(to_string(first.kind)).c_str(), first.why.c_str());
  CHECK_FALSE(first.why.empty());
  // The record is believed: nothing could be probed with this binary.
  REQUIRE(sys::exists(probe.record_path));
  vmm::AccelerationProbe again = probe;
  again.vmm_binary = "/nonexistent";
  const auto second = vmm::find_acceleration(again);
  CHECK(second.kind == first.kind);
  CHECK(second.why == first.why);
  // Another VMM is another question, and one that does not start is an answer.
  again.vmm_version = "qemu other";
  const auto third = vmm::find_acceleration(again);
  CHECK(third.kind == vmm::Acceleration::tcg);
  CHECK_FALSE(third.why.empty());
  co_return;
}

void run(Task<> (*task)()) {
  async::run_loop("test", [task]() -> Task<> { return task(); });
}

}  // namespace

TEST_CASE_METHOD(Host, "a machine boots, and pauses and resumes with its memory and disk", "[host][vmm]") {
  NEEDS(problem());
  run(boot_pause_resume);
}

TEST_CASE_METHOD(Host, "a resume that fails can be repeated", "[host][vmm]") {
  NEEDS(problem());
  run(failed_resume_changes_nothing);
}

TEST_CASE_METHOD(Host, "machines are found again, and their ends are told apart", "[host][vmm]") {
  NEEDS(problem());
  run(adoption_and_ends);
}

TEST_CASE_METHOD(Host, "the answer to whether KVM works is remembered", "[host][vmm]") {
  NEEDS(problem());
  run(probe_acceleration);
}
