#include "agent/sandbox/assembly.h"

#include "agent/limits.h"
#include "agent/network/slot.h"
#include "agent/sandbox/assembly_stage.h"
#include "agent/sandbox/goldens.h"
#include "agent/sandbox/spares.h"
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

// Awaits what makes the machine and its parts; after a failure takes away what of them is there.
Task<> Assembly::whole_or_nothing(Task<> making, std::string_view problem) {
  std::exception_ptr error;
  try {
    co_await std::move(making);
  } catch (...) {
    error = std::current_exception();
  }
  if (!error) co_return;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::exception_ptr left;
  auto remove = destroy();
  co_await attempt(std::move(remove), left);
  if (left) log_failure(problem, record_.sandbox_id, left);
  std::rethrow_exception(error);
}

Task<> Assembly::create(templates::TemplateImage image, std::shared_ptr<const Origin> origin) {
  auto making = build(std::move(image), std::move(origin));
  co_await whole_or_nothing(std::move(making),
                            "cannot undo a failed create; destroy the sandbox to try again");
}

Task<> Assembly::build(templates::TemplateImage image, std::shared_ptr<const Origin> origin) {
  // 1. What can be wrong without anything of the sandbox existing; and what it is made from.
  Stage find(*this, "find");
  const Means means = co_await find_means(host_);
  std::unique_ptr<Assembly> spare;
  if (!origin && image.snapshot) {
    origin = co_await open_template(image, means);
  } else if (!origin && record_.boot != "cold" && host_.goldens != nullptr) {
    const GoldenKey key = host_.goldens->key(image, record_, means);
    if (host_.spares != nullptr) spare = host_.spares->take(key);
    if (!spare) origin = co_await host_.goldens->get(key, image, record_);
    if (origin && host_.spares != nullptr) host_.spares->want(key, image, record_);
  }
  find.done();
  if (spare) {
    if (record_.default_user.empty()) record_.default_user = image.default_user;
    co_await take_spare(std::move(spare));
    co_return;
  }

  // 2. Slot, record, cgroup, disk.
  co_await furnish(image, means, origin.get());

  // 3. The machine. A clone runs at once and is introduced by whoever uses it first; a boot takes long enough
  // to wait for.
  if (origin) {
    co_await clone_machine(means, *origin);
  } else {
    co_await boot_machine(means);
    co_await introduce();
  }

  // 4. From now on it survives a crash of ours.
  Stage record(*this, "record");
  record_.state = SandboxState::running;
  co_await save();
  record.done();
}

Task<std::shared_ptr<const Origin>> Assembly::open_template(const templates::TemplateImage& image,
                                                            const Means& means) {
  auto load = [directory = image.directory, &key = host_.seal_key] {
    return snapshot::load(directory, templates::kSnapshotDirectory, key);
  };
  auto snapshot = co_await blocking(std::move(load));
  if (!snapshot) throw_error(ErrorCode::not_found, "the snapshot of template {} is gone", image.id.digits());
  snapshot::check(snapshot->manifest, means.resume_host());
  co_return co_await make_origin(host_, std::move(*snapshot));
}

// --- spares

Task<> Assembly::make_spare(templates::TemplateImage image, std::shared_ptr<const Origin> origin) {
  auto making = clone_spare(std::move(image), std::move(origin));
  co_await whole_or_nothing(std::move(making), "cannot remove a spare machine");
}

Task<> Assembly::clone_spare(templates::TemplateImage image, std::shared_ptr<const Origin> origin) {
  const Means means = co_await find_means(host_);
  co_await furnish(image, means, origin.get());
  co_await clone_machine(means, *origin);
  co_await save();
  co_await introduce();
  co_await guest_->warm_up();
  co_await machine_->pause();
}

// The spare's parts become this sandbox's, under the names that they have; its record is overwritten by ours.
Task<> Assembly::take_spare(std::unique_ptr<Assembly> spare) {
  Stage stage(*this, "take_spare");
  Record& parts = spare->record_;
  record_.place = parts.place_name();
  record_.image = parts.image;
  record_.kernel_version = parts.kernel_version;
  record_.envd_version = parts.envd_version;
  record_.slot = std::exchange(parts.slot, std::nullopt);
  record_.disk = std::exchange(parts.disk, std::nullopt);
  record_.machine = std::exchange(parts.machine, std::nullopt);
  record_.previous_token = parts.access_token;
  record_.access_token = random_hex(kTokenBytes);
  machine_ = std::move(spare->machine_);
  spare->guest_.reset();
  spare.reset();
  co_await machine_->resume();
  make_guest();
  record_.state = SandboxState::running;
  co_await save();
  stage.done();
}

Task<> Assembly::take_slot() {
  Stage stage(*this, "network");
  Slot slot = co_await host_.slots.take();
  record_.slot = slot.index;
  attachment_ = std::move(slot.attachment);
  stage.done();
}

// Intent first: the names of everything that will be made, on disk before it is made.
Task<> Assembly::furnish(const templates::TemplateImage& image, const Means& means, const Origin* origin) {
  co_await take_slot();

  Stage intent(*this, "journal");
  record_.image = image.image;
  record_.kernel_version = means.kernel.version;
  record_.access_token = random_hex(kTokenBytes);
  if (record_.default_user.empty()) record_.default_user = image.default_user;
  disk::DiskSpec disk{.sandbox_id = record_.place_name(),
                      .image = image.image,
                      .cow_path = directory() + "/disk.cow",
                      .size_bytes = static_cast<std::uint64_t>(record_.disk_size_mb) << 20,
                      .layers = {}};
  if (origin) {
    const snapshot::Manifest& manifest = origin->snapshot.manifest;
    // Its machine is what it is: another size would not fit the state.
    record_.vcpus = manifest.vcpus;
    record_.memory_mb = manifest.memory_mib;
    record_.image = disk.image = manifest.disk.image;
    record_.kernel_version = manifest.kernel_version;
    record_.envd_version = manifest.envd_version;
    record_.previous_token = manifest.access_token;
    disk.size_bytes = manifest.disk.size_bytes;
    disk.layers = manifest.disk.layers;
  }
  record_.disk = host_.mechanisms.plan_disk(disk);
  if (origin && record_.disk->kind != origin->snapshot.manifest.disk.kind)
    throw_error(ErrorCode::failed_precondition,
                "the snapshot has a disk of kind {}, and this host makes {}: set disk = \"{}\" for its agent",
                to_string(origin->snapshot.manifest.disk.kind), to_string(record_.disk->kind),
                to_string(origin->snapshot.manifest.disk.kind));
  auto write_intent = [&host = host_, record = record_] {
    if (!host.mechanisms.claim_sandbox(record.place_name()))
      throw_error(ErrorCode::already_exists, "another agent on this machine has a sandbox {}",
                  record.sandbox_id);
    host.journal.save(record);
  };
  co_await blocking(std::move(write_intent));
  intent.done();

  auto make_disk = [&host = host_, disk] { return host.mechanisms.create_disk(disk); };
  auto parts = attach_host_parts();
  auto storage = make_storage(std::move(make_disk));
  co_await async::both(std::move(parts), std::move(storage));
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
    *group = host.mechanisms.create_group(record.place_name(),
                                          {.memory_mib = record.memory_mb, .vcpus = record.vcpus});
  };
  co_await step("cgroup", std::move(work));
}

// Lends the descriptors of the slot and of attach_host_parts(); `base` must live as long as the result.
vmm::MachineConfig Assembly::machine_config(const Means& means,
                                            std::shared_ptr<const snapshot::MemoryBase> base) const {
  vmm::MachineConfig config;
  config.sandbox_id = record_.place_name();
  config.vcpus = record_.vcpus;
  config.memory_mib = record_.memory_mb;
  config.acceleration = means.acceleration;
  config.memory = base->fd();
  config.memory_mapping = base->mapping();
  config.memory_base = base->path();
  config.disk = disk::disk_source(*record_.disk);
  config.tap = attachment_.tap;
  config.mac = network::kGuestMac;
  config.netns = attachment_.netns;
  if (group_) config.cgroup = *group_;
  config.identity = host_.mechanisms.identity(*record_.slot, means.acceleration);
  config.run_directory = directory() + "/run";
  return config;
}

// Boots, when it is its turn, and waits for the guest.
Task<> Assembly::boot_machine(const Means& means) {
  Stage queue(*this, "queue");
  const BootTurn turn(co_await host_.boots.take(limits::kBootTurn));
  queue.done();
  Stage machine(*this, "vmm");
  const auto zeros = co_await host_.bases.get({}, record_.memory_mb);
  vmm::MachineConfig config = machine_config(means, zeros);
  config.kernel = means.kernel.path;
  config.initramfs = means.kernel.initramfs;
  vmm::BootParameters parameters;
  parameters.acceleration = means.acceleration;
  // Measured by the thread that found the acceleration, so this does not wait.
  if (means.acceleration == vmm::Acceleration::tcg) parameters.tsc_khz = vmm::host_tsc_khz();
  config.command_line = vmm::kernel_command_line(parameters);
  machine_ = co_await means.vmm->start(config);
  attachment_ = {};
  group_.reset();
  record_.machine = machine_->record();
  machine.done();
  co_await save();

  make_guest();
  Stage boot(*this, "boot");
  record_.envd_version = co_await guest_->wait_ready(*machine_);
  boot.done();
}

Task<> Assembly::clone_machine(const Means& means, const Origin& origin) {
  Stage machine(*this, "vmm");
  vmm::MachineConfig config = machine_config(means, origin.base);
  co_await restore_machine(*means.vmm, std::move(config), origin.snapshot);
  machine.done();
  Stage start(*this, "start");
  co_await machine_->resume();
  make_guest();
  start.done();
}

Task<> Assembly::restore_machine(vmm::Vmm& vmm, vmm::MachineConfig config,
                                 const snapshot::Snapshot& snapshot) {
  const sys::Fd device_state = snapshot::open_device_state(snapshot);
  vmm::Vmm::Fill fill;
  if (snapshot.pages)
    fill = [&mechanisms = host_.mechanisms, &snapshot](const vmm::MachineRecord& machine) {
      mechanisms.restore_memory(snapshot, machine);
    };
  machine_ = co_await vmm.restore(config, device_state, std::move(fill));
  attachment_ = {};
  group_.reset();
  record_.machine = machine_->record();
}

void Assembly::make_guest() {
  guest_ = std::make_shared<Guest>(host_.executor, host_.mechanisms.guest_address(*record_.slot),
                                   record_.access_token);
}

Task<> Assembly::introduce() {
  Stage init(*this, "introduce");
  co_await guest_->init(record_,
                        InitOptions{.previous_token = record_.previous_token, .machine = machine_.get()});
  record_.introduced = true;
  record_.previous_token.clear();
  init.done();
}

}  // namespace wrenn::agent::sandbox
