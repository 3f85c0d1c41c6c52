#include "agent/sandbox/assembly.h"

#include "agent/limits.h"
#include "agent/network/slot.h"
#include "agent/sandbox/assembly_stage.h"
#include "agent/vmm/command_line.h"
#include "agent/vmm/tsc.h"
#include "core/async/scope.h"
#include "core/base/random.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

static constexpr int kTokenBytes = 32;  // 64 hex digits

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
  Slot slot = co_await host_.slots.take();
  record_.slot = slot.index;
  attachment_ = std::move(slot.attachment);
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

  // 3. Cgroup, and beside it disk and memory file.
  auto make_disk = [&host = host_, disk, directory = directory(), memory_mib = record_.memory_mb] {
    auto record = host.mechanisms.create_disk(disk);
    snapshot::create_empty_memory(directory + "/memory", memory_mib);
    return record;
  };
  auto parts = attach_host_parts();
  auto storage = make_storage(std::move(make_disk));
  co_await async::both(std::move(parts), std::move(storage));

  // 4. Machine, when it is its turn.
  Stage queue(*this, "queue");
  std::optional<BootTurn> turn(co_await host_.boots.take(limits::kBootTurn));
  queue.done();
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
  turn.reset();
  record_.state = SandboxState::running;
  co_await save();
}

Task<> Assembly::make_storage(std::function<disk::DiskRecord()> make) {
  Stage stage(*this, "disk");
  record_.disk = co_await blocking(std::move(make));
  stage.done();
}

// Cgroup and run directory.
Task<> Assembly::attach_host_parts() {
  auto work = [&host = host_, record = record_, run = directory() + "/run", group = &group_] {
    sys::make_directories(run, 0711);
    *group = host.mechanisms.create_group(record.sandbox_id,
                                          {.memory_mib = record.memory_mb, .vcpus = record.vcpus});
  };
  co_await step("cgroup", std::move(work));
}

// Lends the descriptors of the slot and of attach_host_parts().
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
  record_.envd_version = co_await guest_->wait_ready(*machine_);
  boot.done();
  Stage init(*this, "init");
  co_await guest_->init(record_);
  init.done();
}

}  // namespace wrenn::agent::sandbox
