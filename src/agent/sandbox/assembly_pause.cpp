// Assembly, pause and resume.
#include <fcntl.h>

#include "agent/sandbox/assembly_stage.h"
#include "core/async/scope.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

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
  Slot slot = co_await host_.slots.take();
  record_.slot = slot.index;
  attachment_ = std::move(slot.attachment);
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

}  // namespace wrenn::agent::sandbox
