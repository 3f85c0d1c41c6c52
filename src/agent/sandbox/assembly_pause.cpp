// Assembly, pause and resume.
#include <fcntl.h>

#include "agent/limits.h"
#include "agent/sandbox/assembly_stage.h"
#include "core/async/scope.h"
#include "core/base/scope_guard.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

// State and memory of a machine that stands still, and what they are of. The disk is left to the caller.
Task<snapshot::Manifest> Assembly::capture(snapshot::Draft& draft) {
  const vmm::Vmm* const vmm = co_await host_.engine.vmm();
  Stage state(*this, "save_state");
  co_await machine_->save_state(draft.state_file());
  state.done();
  const vmm::MachineRecord machine = machine_->record();
  auto write = [&mechanisms = host_.mechanisms, &draft, machine] { mechanisms.write_memory(draft, machine); };
  co_await step("save_memory", std::move(write));
  snapshot::Manifest manifest;
  manifest.sandbox_id = record_.sandbox_id;
  manifest.vcpus = record_.vcpus;
  manifest.memory_mib = record_.memory_mb;
  manifest.kernel_version = record_.kernel_version;
  manifest.envd_version = record_.envd_version;
  manifest.default_user = record_.default_user;
  // Before its introduction a clone still has the token of what it was cloned from.
  manifest.access_token = record_.introduced ? record_.access_token : record_.previous_token;
  manifest.vmm_version = machine.vmm_version;
  manifest.acceleration = machine.acceleration;
  manifest.cpu_model = vmm->cpu_model(machine.acceleration);
  manifest.memory_base = machine.memory_base;
  manifest.created_at_us = now().us;
  co_return manifest;
}

// Freezes the machine and writes all of it; afterwards it stands still and the snapshot is complete and
// durable. After a failure it may stand still too: the caller lets it run on or gives it up.
Task<> Assembly::take_snapshot() {
  auto begin = [root = host_.snapshots(), id = record_.sandbox_id] {
    return snapshot::Draft::begin(root, id);
  };
  snapshot::Draft draft = co_await blocking(std::move(begin));
  auto fill = fill_snapshot(draft);
  co_await use_up(host_, draft, std::move(fill));
}

Task<> Assembly::fill_snapshot(snapshot::Draft& draft) {
  Stage freeze(*this, "freeze");
  co_await machine_->pause();
  freeze.done();
  snapshot::Manifest manifest = co_await capture(draft);
  manifest.disk = *record_.disk;
  auto commit = [&key = host_.seal_key, &draft, &manifest] { draft.commit(manifest, key); };
  co_await step("commit", std::move(commit));
}

Task<> Assembly::pause(std::string reason, std::function<void()> on_paused) {
  co_await settle_merge();
  std::exception_ptr error;
  // Its users' programs stop before the machine does, so that after the resume they run only once the guest
  // knows the time. A guest that does not answer is paused all the same.
  Stage hold(*this, "hold_users");
  (void)co_await guest_->freeze(limits::kHoldUsers);
  hold.done();
  try {
    co_await take_snapshot();
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (error) {
    try {
      co_await machine_->resume();
      co_await guest_->unfreeze(record_.sandbox_id);
    } catch (const Error&) {
      // Its end, if that is the cause, is news of its own and comes from wait_end().
      log_failure("cannot let a machine run on after a failed pause", record_.sandbox_id,
                  std::current_exception());
    }
    std::rethrow_exception(error);
  }
  // The snapshot is there: whatever happens now, also a crash, the sandbox is paused.
  co_await settle(SandboxState::paused, std::move(reason), std::move(on_paused));
}

Task<> Assembly::resume(std::optional<std::int64_t> timeout_sec) {
  if (record_.slot || record_.machine) {  // a pause could not free all
    co_await settle(SandboxState::paused, record_.reason);
    if (record_.slot || record_.machine)
      throw_error(ErrorCode::failed_precondition,
                  "what is left of sandbox {} before its pause cannot be freed", record_.sandbox_id);
  }

  Stage find(*this, "find");
  const auto snapshot = co_await load_snapshot();
  if (!snapshot)
    throw_error(ErrorCode::data_loss, "the snapshot of sandbox {} is missing", record_.sandbox_id);
  const Means means = co_await find_means(host_, record_.kernel_version);
  snapshot::check(snapshot->manifest, means.resume_host());
  find.done();

  const std::string reason_before = record_.reason;
  const std::int64_t timeout_before = record_.timeout_sec;
  bool retired = false;
  std::exception_ptr error;
  try {
    if (timeout_sec) record_.timeout_sec = *timeout_sec;
    co_await rebuild(means, *snapshot, retired);
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

Task<> Assembly::rebuild(const Means& means, const snapshot::Snapshot& snapshot, bool& retired) {
  co_await take_slot();
  Stage intent(*this, "journal");
  record_.state = SandboxState::resuming;
  record_.disk = snapshot.manifest.disk;
  record_.previous_token = snapshot.manifest.access_token;
  co_await save();
  intent.done();

  auto open_disk = [&host = host_, record = *record_.disk, id = record_.place_name()] {
    if (!host.mechanisms.claim_sandbox(id))
      throw_error(ErrorCode::already_exists, "another agent on this machine has a sandbox {}", id);
    host.mechanisms.open_disk(record);
  };
  auto parts = attach_host_parts();
  auto storage = step("disk", std::move(open_disk));
  co_await async::both(std::move(parts), std::move(storage));

  Stage machine(*this, "vmm");
  const auto base = co_await host_.bases.get(snapshot.manifest.memory_base, record_.memory_mb);
  vmm::MachineConfig config = machine_config(means, base);
  co_await restore_machine(*means.vmm, std::move(config), snapshot);
  machine.done();
  co_await save();

  auto retire = [&snapshot] { snapshot::retire(snapshot); };
  co_await step("retire", std::move(retire));
  retired = true;
  co_await machine_->resume();
  make_guest();
  co_await introduce();
  record_.state = SandboxState::running;
  record_.reason.clear();
  co_await save();
}

Task<std::optional<snapshot::Snapshot>> Assembly::load_snapshot() {
  auto load = [root = host_.snapshots(), id = record_.sandbox_id, &key = host_.seal_key] {
    return snapshot::load(root, id, key);
  };
  co_return co_await blocking(std::move(load));
}

}  // namespace wrenn::agent::sandbox
