// Driver, while the sandbox runs: what accompanies its machine.
#include "agent/limits.h"
#include "agent/sandbox/changes.h"
#include "agent/sandbox/driver.h"
#include "agent/sandbox/sampler.h"
#include "agent/vmm/limits.h"
#include "core/base/clock.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

void Driver::enter_running() {
  gate_ = std::make_shared<Gate>(host_.executor);
  ++machine_serial_;
  if (!assembly_->record().introduced && !kept_out_) background_.spawn(introduce(machine_serial_));
  background_.spawn(watch_end(assembly_->machine(), machine_serial_));
  background_.spawn(watch_health(assembly_->machine()));
  background_.spawn(watch_chain(assembly_->machine()));
  background_.spawn(sample(assembly_->machine(), assembly_->guest()));
  background_.spawn(watch_disk(host_, disk_watch(machine_serial_)));
}

DiskWatch Driver::disk_watch(std::uint64_t serial) {
  DiskWatch watch;
  watch.sandbox_id = id();
  if (assembly_->record().disk) watch.disk = *assembly_->record().disk;
  watch.machine = assembly_->machine();
  watch.busy = [this] { return operation_.has_value(); };
  watch.tell = [this](std::string why) {
    stands_still_ = std::move(why);
    host_.changes->note();
  };
  watch.lost = [this, serial](std::string why) { give_up(serial, std::move(why)); };
  return watch;
}

// As if the machine had ended.
void Driver::give_up(std::uint64_t serial, std::string why) {
  machine_end_ = std::move(why);
  Message message;
  message.command = Command::vmm_exited;
  message.serial = serial;
  mailbox_.try_push(std::move(message));
}

// A clone runs before it knows who it is; until then nobody is let in.
Task<> Driver::introduce(std::uint64_t serial) {
  std::string failure;
  try {
    co_await assembly_->introduce();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = describe(error);
  }
  if (failure.empty()) {
    introduced_.notify_all();
    co_return;
  }
  give_up(serial, "the guest did not take its identity: " + failure);
}

void Driver::let_in() {
  if (!std::exchange(kept_out_, false)) return;
  if (state_ == SandboxState::running && gate_ && !gate_->was_cut() && !assembly_->record().introduced)
    background_.spawn(introduce(machine_serial_));
}

Task<> Driver::wait_introduced() {
  const SteadyTime deadline = SteadyClock::now() + limits::kIntroduction;
  const std::uint64_t serial = machine_serial_;
  while (!assembly_->record().introduced && machine_serial_ == serial && gate_ && !gate_->was_cut()) {
    if (SteadyClock::now() >= deadline)
      throw_error(ErrorCode::unavailable, "the guest of sandbox {} does not answer its host", id());
    (void)co_await introduced_.wait_for(deadline - SteadyClock::now());
  }
}

void Driver::leave_running(const std::string& why) {
  introduced_.notify_all();
  if (gate_) gate_->cut(why);
  background_.cancel();
}

Task<> Driver::watch_end(std::shared_ptr<vmm::Machine> machine, std::uint64_t serial) {
  const vmm::MachineEnd end = co_await machine->wait_end();
  machine_end_ = vmm::describe(end);
  host_.figures.vmm_ended(vmm::to_string(end.cause));
  log::warn("a machine ended", {{"sandbox_id", id()}, {"why", machine_end_}});
  Message message;
  message.command = Command::vmm_exited;
  message.serial = serial;
  mailbox_.try_push(std::move(message));
}

// A VMM that hangs is ended; watch_end() does the rest. What an operation has it do may take long, and has a
// deadline of its own.
Task<> Driver::watch_health(std::shared_ptr<vmm::Machine> machine) {
  while (!machine->ended()) {
    co_await async::sleep(vmm::limits::kProbeInterval);
    // Whoever stops a machine has its disk flushed, which on a full host takes many seconds (disk_watch.h).
    if (operation_ || !stands_still_.empty()) continue;
    const std::uint64_t operations = operation_serial_;
    auto how = co_await machine->find_hang();
    if (!how || operation_ || operation_serial_ != operations || !stands_still_.empty()) continue;
    log::warn("a machine monitor hangs; ending it", {{"sandbox_id", id()}, {"how", *how}});
    machine->end_hung(std::move(*how));
  }
}

// Each fork and each checkpoint makes the chain of files below the disk one longer.
Task<> Driver::watch_chain(std::shared_ptr<vmm::Machine> machine) {
  while (!machine->ended()) {
    co_await async::sleep(limits::kDiskMergeLook);
    const auto& disk = assembly_->record().disk;
    if (operation_ || !disk || disk->layers.size() <= limits::kDiskLayersMerge) continue;
    const std::string image = disk->image;
    bool ended = false;
    try {
      const vmm::DiskMerge merge = co_await machine->disk_merge();
      ended = merge == vmm::DiskMerge::ended;
      // An operation that begins now asks the machine after us.
      if (merge == vmm::DiskMerge::none && !operation_) co_await machine->begin_disk_merge(image);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::warn("the files of a disk cannot be merged", {{"sandbox_id", id()}, {"error", error.what()}});
      ended = true;
    }
    if (!ended) continue;
    Message message;
    message.command = Command::merged;
    mailbox_.try_push(std::move(message));
    co_await async::sleep(limits::kDiskMergeRetry);
  }
}

Task<> Driver::sample(std::shared_ptr<vmm::Machine> machine, std::shared_ptr<Guest> guest) {
  Sampler sampler(host_, std::move(machine), std::move(guest), assembly_->record());
  auto interval = std::chrono::duration_cast<SteadyClock::duration>(limits::kSampleFirst);
  for (;;) {
    co_await async::sleep(interval);
    interval = limits::kSampleInterval;
    const MetricPoint point = co_await sampler.sample();
    rings_.add(point);
  }
}

}  // namespace wrenn::agent::sandbox
