#include "agent/sandbox/assembly.h"

#include <fcntl.h>

#include "agent/limits.h"
#include "agent/network/slot.h"
#include "agent/vmm/command_line.h"
#include "agent/vmm/tsc.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/random.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

namespace {

constexpr int kTokenBytes = 32;  // 64 hex digits

// Keeps the first failure and lets the caller go on.
Task<> attempt(Task<> task, std::exception_ptr& first) {
  try {
    co_await std::move(task);
  } catch (...) {
    if (!first) first = std::current_exception();
  }
}

void log_failure(std::string_view what, const std::string& sandbox_id, std::exception_ptr error) {
  log::error(what, {{"sandbox_id", sandbox_id}, {"error", describe(error)}});
}

std::string shorten(std::string text) {
  if (text.size() > limits::kReasonBytes) text.resize(limits::kReasonBytes);
  return text;
}

}  // namespace

// One named step of an operation: its duration goes into the figures and the debug log when it succeeds.
class Assembly::Stage {
 public:
  Stage(Assembly& assembly, std::string_view name) : assembly_(assembly), name_(name) {}
  void done() {
    const auto took = SteadyClock::now() - start_;
    assembly_.host_.figures.stage(name_, took);
    log::debug("stage", {{"sandbox_id", assembly_.record_.sandbox_id},
                         {"stage", name_},
                         {"ms", std::chrono::duration<double, std::milli>(took).count()}});
  }

 private:
  Assembly& assembly_;
  std::string_view name_;
  SteadyTime start_ = SteadyClock::now();
};

Task<> Assembly::step(std::string_view name, std::function<void()> work) {
  Stage stage(*this, name);
  co_await blocking(std::move(work));
  stage.done();
}

Task<> Assembly::save() {
  auto work = [&journal = host_.journal, record = record_] { journal.save(record); };
  co_await blocking(std::move(work));
}

Task<> Assembly::save_or_log() {
  try {
    co_await save();
  } catch (const Error&) {
    // The record on disk is older than the truth, which recover() can tell from what exists.
    log_failure("cannot write the journal", record_.sandbox_id, std::current_exception());
  }
}

// --- create
// ---------------------------------------------------------------------------------------------------------

Task<> Assembly::create(templates::TemplateImage image) {
  std::exception_ptr error;
  try {
    co_await build(std::move(image));
  } catch (...) {
    error = std::current_exception();
  }
  if (!error) co_return;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  try {
    co_await destroy();
  } catch (const Error&) {
    log_failure("cannot undo a failed create; destroy the sandbox to try again", record_.sandbox_id,
                std::current_exception());
  }
  std::rethrow_exception(error);
}

Task<> Assembly::build(templates::TemplateImage image) {
  // 1. What can be wrong without anything of the sandbox existing.
  vmm::Vmm* const vmm = co_await host_.engine.vmm();
  auto find_kernel = [&mechanisms = host_.mechanisms] { return mechanisms.find_kernel({}); };
  const templates::Kernel kernel = co_await blocking(std::move(find_kernel));
  const vmm::Acceleration acceleration = co_await host_.engine.acceleration(kernel);

  // 2. Intent: the names of everything that will be made, on disk before it is made.
  Stage intent(*this, "journal");
  record_.slot = co_await host_.slots.take();
  record_.image = image.image;
  record_.kernel_version = kernel.version;
  record_.access_token = random_hex(kTokenBytes);
  if (record_.default_user.empty()) record_.default_user = image.default_user;
  disk::DiskSpec disk{.sandbox_id = record_.sandbox_id,
                      .image = image.image,
                      .cow_path = directory() + "/disk.cow",
                      .size_bytes = static_cast<std::uint64_t>(record_.disk_size_mb) << 20};
  record_.disk = host_.mechanisms.plan_disk(disk);
  auto write_intent = [&host = host_, record = record_] {
    if (!host.mechanisms.claim_sandbox(record.sandbox_id))
      throw_error(ErrorCode::already_exists, "another agent on this machine has a sandbox {}",
                  record.sandbox_id);
    host.journal.save(record);
  };
  co_await blocking(std::move(write_intent));
  intent.done();

  // 3. Network, and beside it what is cheap: cgroup, disk, memory file.
  auto make_disk = [&host = host_, disk, directory = directory(), memory_mib = record_.memory_mb] {
    auto record = host.mechanisms.create_disk(disk);
    snapshot::create_empty_memory(directory + "/memory", memory_mib);
    return record;
  };
  auto parts = attach_host_parts();
  auto storage = make_storage(std::move(make_disk));
  co_await async::both(std::move(parts), std::move(storage));

  // 4. Machine.
  Stage machine(*this, "vmm");
  vmm::MachineConfig config = machine_config(acceleration);
  config.kernel = kernel.path;
  config.initramfs = kernel.initramfs;
  vmm::BootParameters parameters;
  parameters.acceleration = acceleration;
  // Measured by the thread that found the acceleration, so this does not wait.
  if (acceleration == vmm::Acceleration::tcg) parameters.tsc_khz = vmm::host_tsc_khz();
  config.command_line = vmm::kernel_command_line(parameters);
  config.memory_file = directory() + "/memory";
  machine_ = co_await vmm->start(config);
  attachment_ = {};
  group_.reset();
  record_.machine = machine_->record();
  machine.done();
  co_await save();

  // 5. Guest.
  co_await bring_up();
  record_.state = SandboxState::running;
  co_await save();
}

Task<> Assembly::make_storage(std::function<disk::DiskRecord()> make) {
  Stage stage(*this, "disk");
  record_.disk = co_await blocking(std::move(make));
  stage.done();
}

// Cgroup, network and run directory of the slot in the record.
Task<> Assembly::attach_host_parts() {
  auto work = [&host = host_, record = record_, run = directory() + "/run", attachment = &attachment_,
               group = &group_] {
    sys::make_directories(run, 0711);
    *group = host.mechanisms.create_group(record.sandbox_id,
                                          {.memory_mib = record.memory_mb, .vcpus = record.vcpus});
    host.mechanisms.create_network(*record.slot);
    *attachment = host.mechanisms.attach_network(*record.slot);
  };
  co_await step("network", std::move(work));
}

// Lends the descriptors of attach_host_parts().
vmm::MachineConfig Assembly::machine_config(vmm::Acceleration acceleration) const {
  vmm::MachineConfig config;
  config.sandbox_id = record_.sandbox_id;
  config.vcpus = record_.vcpus;
  config.memory_mib = record_.memory_mb;
  config.acceleration = acceleration;
  config.disk = disk::disk_source(*record_.disk);
  config.tap = attachment_.tap;
  config.mac = network::kGuestMac;
  config.netns = attachment_.netns;
  if (group_) config.cgroup = *group_;
  config.identity = host_.mechanisms.identity(*record_.slot, acceleration);
  config.run_directory = directory() + "/run";
  return config;
}

void Assembly::make_guest() {
  guest_ = std::make_shared<Guest>(host_.executor, host_.mechanisms.guest_address(*record_.slot),
                                   record_.access_token);
}

Task<> Assembly::bring_up() {
  make_guest();
  Stage boot(*this, "boot");
  co_await guest_->wait_ready(*machine_);
  boot.done();
  Stage init(*this, "init");
  co_await guest_->init(record_);
  init.done();
}

// --- pause and resume
// -----------------------------------------------------------------------------------------------

// Freezes the machine and writes all of it; afterwards it stands still and the snapshot is complete and
// durable. After a failure it may stand still too: the caller lets it run on or gives it up.
Task<> Assembly::take_snapshot() {
  const vmm::Vmm* const vmm = co_await host_.engine.vmm();
  Stage freeze(*this, "freeze");
  co_await machine_->pause();
  freeze.done();

  Stage stage(*this, "snapshot");
  auto begin = [root = host_.snapshots(), id = record_.sandbox_id] {
    return snapshot::Draft::begin(root, id);
  };
  snapshot::Draft draft = co_await blocking(std::move(begin));
  co_await machine_->save_state(draft.state_file());
  const vmm::MachineRecord machine = machine_->record();
  snapshot::Manifest manifest;
  manifest.sandbox_id = record_.sandbox_id;
  manifest.vcpus = record_.vcpus;
  manifest.memory_mib = record_.memory_mb;
  manifest.kernel_version = record_.kernel_version;
  manifest.vmm_version = machine.vmm_version;
  manifest.acceleration = machine.acceleration;
  manifest.cpu_model = vmm->cpu_model(machine.acceleration);
  manifest.disk = *record_.disk;
  manifest.created_at_us = now().us;
  auto write = [&mechanisms = host_.mechanisms, draft = std::move(draft), machine, manifest]() mutable {
    mechanisms.write_memory(draft, machine);
    draft.commit(std::move(manifest));
  };
  co_await blocking(std::move(write));
  stage.done();
}

Task<> Assembly::pause(std::string reason) {
  std::exception_ptr error;
  try {
    co_await take_snapshot();
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (error) {
    try {
      co_await machine_->resume();
    } catch (const Error&) {
      // Its end, if that is the cause, is news of its own and comes from wait_end().
      log_failure("cannot let a machine run on after a failed pause", record_.sandbox_id,
                  std::current_exception());
    }
    std::rethrow_exception(error);
  }
  // The snapshot is there: whatever happens now, also a crash, the sandbox is paused.
  co_await settle(SandboxState::paused, std::move(reason));
}

Task<> Assembly::resume(std::optional<std::int64_t> timeout_sec) {
  if (record_.slot || record_.machine) {  // a pause could not free all
    co_await settle(SandboxState::paused, record_.reason);
    if (record_.slot || record_.machine)
      throw_error(ErrorCode::failed_precondition,
                  "what is left of sandbox {} before its pause cannot be freed", record_.sandbox_id);
  }

  const auto snapshot = co_await load_snapshot();
  if (!snapshot)
    throw_error(ErrorCode::data_loss, "the snapshot of sandbox {} is missing", record_.sandbox_id);
  vmm::Vmm* const vmm = co_await host_.engine.vmm();
  auto find_kernel = [&mechanisms = host_.mechanisms, wanted = record_.kernel_version] {
    return mechanisms.find_kernel(wanted);
  };
  const templates::Kernel kernel = co_await blocking(std::move(find_kernel));
  const vmm::Acceleration acceleration = co_await host_.engine.acceleration(kernel);
  snapshot::check(snapshot->manifest, {.vmm_version = vmm->version(),
                                       .acceleration = acceleration,
                                       .cpu_model = vmm->cpu_model(acceleration)});

  const std::string reason_before = record_.reason;
  const std::int64_t timeout_before = record_.timeout_sec;
  bool retired = false;
  std::exception_ptr error;
  try {
    if (timeout_sec) record_.timeout_sec = *timeout_sec;
    co_await rebuild(*vmm, acceleration, *snapshot, retired);
  } catch (...) {
    error = std::current_exception();
  }
  if (!error) co_return;

  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  record_.timeout_sec = timeout_before;
  if (retired) {
    // The guest has run and changed its disk: the old snapshot is of no use, but a new one is.
    std::exception_ptr lost;
    auto again = take_snapshot();
    co_await attempt(std::move(again), lost);
    if (lost) {
      co_await fail(
          fmt::format("resume failed ({}), and so did pausing again ({})", describe(error), describe(lost)));
      std::rethrow_exception(error);
    }
  }
  co_await settle(SandboxState::paused, reason_before);
  std::rethrow_exception(error);
}

Task<> Assembly::rebuild(vmm::Vmm& vmm, vmm::Acceleration acceleration, const snapshot::Snapshot& snapshot,
                         bool& retired) {
  Stage intent(*this, "journal");
  record_.slot = co_await host_.slots.take();
  record_.state = SandboxState::resuming;
  record_.disk = snapshot.manifest.disk;
  co_await save();
  intent.done();

  auto open_disk = [&host = host_, record = *record_.disk, id = record_.sandbox_id] {
    if (!host.mechanisms.claim_sandbox(id))
      throw_error(ErrorCode::already_exists, "another agent on this machine has a sandbox {}", id);
    host.mechanisms.open_disk(record);
  };
  auto parts = attach_host_parts();
  auto storage = step("disk", std::move(open_disk));
  co_await async::both(std::move(parts), std::move(storage));

  Stage machine(*this, "vmm");
  vmm::MachineConfig config = machine_config(acceleration);
  config.memory_file = snapshot.memory_path();
  const sys::Fd device_state = sys::open_file(snapshot.device_state_path(), O_RDONLY);
  machine_ = co_await vmm.restore(config, device_state);
  attachment_ = {};
  group_.reset();
  record_.machine = machine_->record();
  machine.done();
  co_await save();

  auto retire = [snapshot] { snapshot::retire(snapshot); };
  co_await blocking(std::move(retire));
  retired = true;
  co_await machine_->resume();
  co_await bring_up();
  record_.state = SandboxState::running;
  record_.reason.clear();
  co_await save();
}

Task<std::optional<snapshot::Snapshot>> Assembly::load_snapshot() {
  auto load = [root = host_.snapshots(), id = record_.sandbox_id] { return snapshot::load(root, id); };
  co_return co_await blocking(std::move(load));
}

// --- taking apart
// ---------------------------------------------------------------------------------------------------

// Machine, cgroup, network; the disk is taken down and kept. Does all it can; gives the slot back to the pool
// only in forget_slot(), when the record does not name it any more.
Task<> Assembly::free_runtime() {
  Stage stage(*this, "free");
  std::exception_ptr first;
  guest_.reset();
  if (machine_) {
    auto stop = machine_->stop();
    co_await attempt(std::move(stop), first);
  } else if (record_.machine) {
    auto kill = blocking(
        [&mechanisms = host_.mechanisms, machine = *record_.machine] { mechanisms.kill_machine(machine); });
    co_await attempt(std::move(kill), first);
  }
  attachment_ = {};
  group_.reset();
  if (first) std::rethrow_exception(first);  // it still uses all the rest
  machine_.reset();
  record_.machine.reset();

  auto free_group =
      blocking([&mechanisms = host_.mechanisms, id = record_.sandbox_id] { mechanisms.destroy_group(id); });
  co_await attempt(std::move(free_group), first);
  if (record_.disk) {
    auto release =
        blocking([&mechanisms = host_.mechanisms, disk = *record_.disk] { mechanisms.release_disk(disk); });
    co_await attempt(std::move(release), first);
  }
  auto free_files = blocking([directory = directory()] {
    sys::remove_tree(directory + "/run");
    sys::remove_tree(directory + "/memory");
  });
  co_await attempt(std::move(free_files), first);
  if (record_.slot) {
    std::exception_ptr network;
    auto free_network = blocking(
        [&mechanisms = host_.mechanisms, slot = *record_.slot] { mechanisms.destroy_network(slot); });
    co_await attempt(std::move(free_network), network);
    if (!network) freed_slot_ = std::exchange(record_.slot, std::nullopt);
    if (!first) first = network;
  }
  if (first) std::rethrow_exception(first);
  stage.done();
}

void Assembly::forget_slot() {
  if (freed_slot_) host_.slots.give_back(*std::exchange(freed_slot_, std::nullopt));
}

// The sandbox does not run any more, for good: says so in the record before and after it frees the parts.
Task<> Assembly::settle(SandboxState state, std::string reason) {
  record_.state = state;
  record_.reason = shorten(std::move(reason));
  co_await save_or_log();
  try {
    co_await free_runtime();
  } catch (const Error&) {
    log_failure("cannot free all of a sandbox that does not run any more; destroy it, or restart the agent",
                record_.sandbox_id, std::current_exception());
  }
  co_await save_or_log();
  forget_slot();
}

Task<> Assembly::fail(std::string reason) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await settle(SandboxState::error, std::move(reason));
  std::exception_ptr error;
  auto remove = blocking([root = host_.snapshots(), id = record_.sandbox_id] { snapshot::remove(root, id); });
  co_await attempt(std::move(remove), error);
  if (error) log_failure("cannot remove the memory of a failed sandbox", record_.sandbox_id, error);
}

Task<> Assembly::destroy() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  Stage stage(*this, "destroy");
  record_.state = SandboxState::stopping;
  if (record_.slot || record_.disk)
    co_await save_or_log();  // else nothing was ever made, not even the record

  std::exception_ptr first;
  auto runtime = free_runtime();
  co_await attempt(std::move(runtime), first);
  if (!first) {
    auto remove = blocking([&host = host_, record = record_] {
      if (record.disk) host.mechanisms.destroy_disk(*record.disk);
      snapshot::remove(host.snapshots(), record.sandbox_id);
      host.journal.remove(record.sandbox_id);
      host.mechanisms.unclaim_sandbox(record.sandbox_id);
    });
    co_await attempt(std::move(remove), first);
  }
  if (first) {
    record_.state = SandboxState::error;
    record_.reason = shorten("destroy did not succeed, try again: " + describe(first));
    co_await save_or_log();
    std::rethrow_exception(first);
  }
  forget_slot();
  record_.disk.reset();
  gone_ = true;
  stage.done();
}

// --- after a restart of the agent
// -----------------------------------------------------------------------------------

Task<> Assembly::adopt_machine() {
  if (!record_.machine) co_return;
  std::exception_ptr error;
  try {
    vmm::Vmm* const vmm = co_await host_.engine.vmm();
    machine_ = co_await vmm->adopt(*record_.machine);
  } catch (const Error&) {
    error = std::current_exception();
  }
  if (error) log_failure("a VMM lives but does not answer; ending it", record_.sandbox_id, error);
}

Task<Assembly::Found> Assembly::recover() {
  const SandboxState before = record_.state;
  if (before == SandboxState::starting || before == SandboxState::stopping) {
    auto strays =
        blocking([&mechanisms = host_.mechanisms, id = record_.sandbox_id] { mechanisms.kill_strays(id); });
    co_await std::move(strays);
    co_await destroy();
    co_return Found::gone;
  }
  if (before == SandboxState::error) {
    if (record_.slot || record_.machine) co_await settle(before, record_.reason);
    co_return Found::error;
  }

  std::optional<snapshot::Snapshot> snapshot;
  std::string damage;
  try {
    snapshot = co_await load_snapshot();
  } catch (const Error& error) {
    damage = error.what();
  }

  if (before != SandboxState::paused) {
    co_await adopt_machine();
    // A machine that was being restored has not run while its snapshot is whole: the snapshot is the better
    // one. One that was being paused goes on, and its snapshot is void then.
    if (machine_ && !(before == SandboxState::resuming && snapshot)) {
      const std::string problem = co_await take_over(snapshot);
      if (problem.empty()) co_return Found::running;
      damage = problem;
      snapshot.reset();
    } else if (!machine_) {
      auto strays =
          blocking([&mechanisms = host_.mechanisms, id = record_.sandbox_id] { mechanisms.kill_strays(id); });
      co_await std::move(strays);
    }
  }
  if (snapshot) {
    if (before != SandboxState::paused || record_.slot || record_.machine)
      co_await settle(SandboxState::paused, record_.reason);
    co_return Found::paused;
  }
  if (before == SandboxState::paused)
    co_await fail("its snapshot is gone" + (damage.empty() ? "" : ": " + damage));
  else
    co_await fail(damage.empty() ? "the host or its VMM ended while the agent was not running" : damage);
  co_return Found::error;
}

// Empty when the machine runs on under our care; otherwise what is wrong with it.
Task<std::string> Assembly::take_over(std::optional<snapshot::Snapshot> snapshot) {
  try {
    auto check = blocking([&mechanisms = host_.mechanisms, record = record_, snapshot] {
      if (!record.slot || !mechanisms.network_is_complete(*record.slot))
        throw_error(ErrorCode::data_loss, "its network is gone");
      mechanisms.claim_sandbox(record.sandbox_id);
      if (snapshot) snapshot::retire(*snapshot);
    });
    co_await std::move(check);
    co_await machine_->resume();
    make_guest();
    if (!co_await guest_->is_ready(limits::kHealthTry))
      log::warn("the guest of a sandbox that was taken over does not answer now",
                {{"sandbox_id", record_.sandbox_id}});
    record_.state = SandboxState::running;
    co_await save();
    co_return std::string();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return fmt::format("the agent was restarted and could not take the machine over: {}", error.what());
  }
}

}  // namespace wrenn::agent::sandbox
