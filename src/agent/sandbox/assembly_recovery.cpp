// Assembly, after a restart of the agent: what the record stands for by now.
#include "agent/limits.h"
#include "agent/sandbox/assembly_stage.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

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

// The crash may have come between the start of a VMM and its place in the record.
Task<> Assembly::kill_strays() {
  auto kill = [&mechanisms = host_.mechanisms, id = record_.place_name()] { mechanisms.kill_strays(id); };
  co_await blocking(std::move(kill));
}

Task<Assembly::Found> Assembly::recover() {
  const SandboxState before = record_.state;
  if (before == SandboxState::starting || before == SandboxState::stopping) {
    if (!record_.machine) co_await kill_strays();
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
    } else if (!machine_ && !record_.machine) {
      co_await kill_strays();
    }
  }
  if (snapshot) {
    if (before != SandboxState::paused || record_.slot || record_.machine)
      co_await settle(SandboxState::paused, record_.reason);
    co_return Found::paused;
  }
  // There is one that cannot be read now: the disk, or the key, may come back, and a resume says what is
  // wrong.
  if (before == SandboxState::paused && !damage.empty()) {
    log::error("the snapshot of a paused sandbox cannot be used",
               {{"sandbox_id", record_.sandbox_id}, {"error", damage}});
    if (record_.slot || record_.machine) co_await settle(SandboxState::paused, record_.reason);
    co_return Found::paused;
  }
  if (before == SandboxState::paused)
    co_await fail("its snapshot is gone");
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
      mechanisms.claim_sandbox(record.place_name());
      if (snapshot) snapshot::retire(*snapshot);
    });
    co_await std::move(check);
    co_await settle_switch();
    co_await machine_->resume();
    make_guest();
    // Its users' programs may have been stopped for an operation that was cut short.
    if (record_.introduced) co_await guest_->unfreeze(record_.sandbox_id);
    // A clone that nobody has told yet who it is: the driver does.
    if (record_.introduced && !co_await guest_->is_ready(limits::kHealthTry))
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
