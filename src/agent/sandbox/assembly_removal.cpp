// Assembly, taking apart: what a sandbox holds of the host goes, and what it is then is written down.
#include "agent/limits.h"
#include "agent/sandbox/assembly_stage.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

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

static std::string shorten(std::string text) {
  if (text.size() > limits::kReasonBytes) text.resize(limits::kReasonBytes);
  return text;
}

// Machine and cgroup; the disk is taken down and kept. Does all it can. The network slot is of no use to
// anybody then; the pool gets it in forget_slot(), when the record does not name it any more.
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
  crash_point("free.machine_gone");

  auto free_group =
      blocking([&mechanisms = host_.mechanisms, id = record_.place_name()] { mechanisms.destroy_group(id); });
  co_await attempt(std::move(free_group), first);
  crash_point("free.group_gone");
  if (record_.disk) {
    auto release =
        blocking([&mechanisms = host_.mechanisms, disk = *record_.disk] { mechanisms.release_disk(disk); });
    co_await attempt(std::move(release), first);
  }
  crash_point("free.disk_released");
  auto free_files = blocking([directory = directory()] { sys::remove_tree(directory + "/run"); });
  co_await attempt(std::move(free_files), first);
  if (record_.slot) freed_slot_ = std::exchange(record_.slot, std::nullopt);
  if (first) std::rethrow_exception(first);
  stage.done();
}

void Assembly::forget_slot() {
  if (freed_slot_) host_.slots.give_back(*std::exchange(freed_slot_, std::nullopt));
}

// The sandbox does not run any more, for good: says so in the record before and after it frees the parts.
Task<> Assembly::settle(SandboxState state, std::string reason, std::function<void()> on_written) {
  record_.state = state;
  record_.reason = shorten(std::move(reason));
  record_.disk_before.reset();
  co_await save_or_log();
  if (on_written) on_written();
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
      crash_point("destroy.disk_gone");
      snapshot::remove(host.snapshots(), record.sandbox_id);
      sys::remove_tree(host.checkpoints(record.sandbox_id));
      crash_point("destroy.snapshots_gone");
      host.journal.remove(record.place_name());
      host.mechanisms.unclaim_sandbox(record.place_name());
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
  host_.layers.something_went();
  record_.disk.reset();
  gone_ = true;
  stage.done();
}

}  // namespace wrenn::agent::sandbox
