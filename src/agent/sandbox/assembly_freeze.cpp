// Assembly, the state of now for others: golden snapshots, forks, checkpoints, templates; and back to a
// checkpoint.
//
// A running machine stands still only from stop to cont:
//
//   copy changed pages │ users' programs stop │ stop  save state, copy what has changed since, switch disk
//   cont │ users' programs go on │ commit, fork
//
// Its qcow2 file becomes a layer, shared with whoever goes on from here, and an empty overlay takes its
// place:
//
//   before    image ← … ← cow                    sandboxes/ID/disk.cow
//   after     image ← … ← layer ← next cow       layers/disk-X (the same file), sandboxes/ID/disk-Y.cow
//
// The record names both chains from before the machine is told until one of them is history. After a crash in
// between the machine is asked which one it has.
#include <fcntl.h>
#include <unistd.h>

#include "agent/limits.h"
#include "agent/sandbox/assembly_stage.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

using model::SandboxState;

struct Assembly::DiskSwitch {
  std::string layer;        // where the disk of now will be
  disk::DiskRecord before;  // as it is
  disk::DiskRecord next;    // after it; without a path until it is known, and when the disk is copied
  bool chain = false;       // switch; else copy
  bool prepared = false;
  bool switched = false;
  sys::Fd overlay;
};

static std::string overlay_path(const std::string& directory) {
  return directory + "/disk-" + random_hex(8) + ".cow";
}

Task<> Assembly::prepare_switch(DiskSwitch& disk) {
  auto work = [&mechanisms = host_.mechanisms, &disk, directory = directory(), id = record_.place_name()] {
    const disk::DiskRecord frozen = mechanisms.freeze_disk_by_link(disk.before, disk.layer);
    disk.next = disk::plan_overlay(frozen, id, overlay_path(directory));
    crash_point("switch.layer_linked");
    mechanisms.make_overlay(disk.next);
    crash_point("switch.overlay_made");
    disk.overlay = sys::open_file(disk.next.cow_path, O_RDWR);
  };
  disk.prepared = true;
  co_await blocking(std::move(work));
  record_.disk_before = disk.before;
  record_.disk = disk.next;
  co_await save();
}

// A crash came into a switch: what the machine writes to says whether it took place.
Task<> Assembly::settle_switch() {
  if (!record_.disk_before) co_return;
  co_await machine_->end_disk_merge();  // the overlay, if the machine has it and does not use it
  DiskSwitch disk;
  disk.before = *record_.disk_before;
  disk.next = *record_.disk;
  if (!disk.next.layers.empty()) disk.layer = disk.next.layers.back();
  disk.prepared = true;
  disk.switched = co_await machine_->disk_layers() == disk::disk_source(disk.next).backing.size();
  co_await finish_switch(disk);
}

// Either the old file's own name goes, or all that was prepared.
Task<> Assembly::finish_switch(const DiskSwitch& disk) {
  if (!disk.prepared) co_return;
  if (!disk.switched) record_.disk = disk.before;
  record_.disk_before.reset();
  co_await save_or_log();
  crash_point("switch.finish.begin");
  std::vector<std::string> useless = {disk.before.cow_path};
  if (!disk.switched) useless = {disk.next.cow_path, disk.layer};
  auto remove = [useless] {
    for (const std::string& path : useless)
      if (!path.empty() && ::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove {}", path);
  };
  std::exception_ptr error;
  auto work = blocking(std::move(remove));
  co_await attempt(std::move(work), error);
  crash_point("switch.finish.end");
  if (error) log_failure("a file of a disk stays that is of no use", record_.sandbox_id, error);
}

Task<> Assembly::stop_and_capture(Frozen& frozen, DiskSwitch& disk) {
  Stage stopped(*this, "stopped");
  co_await machine_->pause();
  snapshot::Manifest manifest = co_await capture(frozen.draft);
  if (disk.chain) {
    co_await machine_->push_overlay(disk.overlay);
    disk.switched = true;
    crash_point("switch.pushed");
    manifest.disk = disk::plan_overlay(disk.next, "", "");
  } else {
    auto copy = [&mechanisms = host_.mechanisms, &disk] {
      return mechanisms.freeze_disk_by_copy(disk.before, disk.layer);
    };
    manifest.disk = co_await blocking(std::move(copy));
  }
  crash_point("stopped.captured");
  co_await machine_->resume();
  stopped.done();
  frozen.manifest = std::move(manifest);
}

Task<> Assembly::settle_merge() {
  if (!machine_ || !record_.disk || record_.disk->layers.size() <= limits::kDiskLayersMerge) co_return;
  co_await machine_->end_disk_merge();
  if (co_await machine_->disk_layers() > 1) co_return;
  crash_point("merge.ended");
  record_.disk->layers.clear();
  co_await save();
  host_.layers.something_went();
}

Task<Frozen> Assembly::freeze(std::string root, std::string id) {
  if (machine_) co_return co_await freeze_running(std::move(root), std::move(id));
  co_return co_await freeze_paused(std::move(root), std::move(id));
}

Task<Frozen> Assembly::freeze_running(std::string root, std::string id) {
  co_await settle_merge();
  auto begin = [root, id] { return snapshot::Draft::begin(root, id); };
  Frozen frozen{co_await blocking(std::move(begin)), {}, nullptr, host_.layers.pin(record_.disk->layers)};
  DiskSwitch disk;
  disk.before = *record_.disk;
  disk.chain = disk.before.kind == disk::DiskKind::qcow2;
  if (disk.before.layers.size() >= limits::kDiskLayersMax)
    throw_error(
        ErrorCode::resource_exhausted,
        "the disk of this sandbox has {} layers, one for each fork and checkpoint, and they could not "
        "be merged as fast: try again in a minute",
        disk.before.layers.size());
  disk.layer = host_.layers.fresh_disk();
  frozen.pin.add(disk.layer);
  frozen.pin.add(machine_->record().memory_base);
  frozen.base = co_await host_.bases.get(machine_->record().memory_base, record_.memory_mb);

  std::exception_ptr error;
  bool held = false;
  try {
    if (disk.chain) co_await prepare_switch(disk);
    // Most of the memory is copied while the machine still runs; what changes meanwhile is found again.
    auto copy = [&mechanisms = host_.mechanisms, &draft = frozen.draft, machine = machine_->record()] {
      mechanisms.copy_memory_ahead(draft, machine);
    };
    co_await step("copy_ahead", std::move(copy));
    Stage hold(*this, "hold_users");
    held = co_await guest_->freeze(limits::kHoldUsers);
    hold.done();
    co_await stop_and_capture(frozen, disk);
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (error) {
    std::exception_ptr dead;
    auto resume = machine_->resume();
    co_await attempt(std::move(resume), dead);
  }
  if (held) co_await guest_->unfreeze(record_.sandbox_id);
  co_await finish_switch(disk);
  if (error) {
    co_await give_up(host_, frozen.draft);
    std::rethrow_exception(error);
  }
  co_return frozen;
}

// Nothing of the paused sandbox is touched; its disk is copied.
Task<Frozen> Assembly::freeze_paused(std::string root, std::string id) {
  const auto snapshot = co_await load_snapshot();
  if (!snapshot)
    throw_error(ErrorCode::data_loss, "the snapshot of sandbox {} is missing", record_.sandbox_id);
  auto begin = [root, id] { return snapshot::Draft::begin(root, id); };
  Frozen frozen{co_await blocking(std::move(begin)), snapshot->manifest, nullptr,
                host_.layers.pin(layers_of(snapshot->manifest))};
  const std::string layer = host_.layers.fresh_disk();
  frozen.pin.add(layer);
  frozen.base = co_await host_.bases.get(snapshot->manifest.memory_base, snapshot->manifest.memory_mib);
  auto copy = [&mechanisms = host_.mechanisms, &frozen, &snapshot, layer] {
    frozen.draft.link_from(*snapshot);
    return mechanisms.freeze_disk_by_copy(snapshot->manifest.disk, layer);
  };
  frozen.manifest.disk = co_await blocking(std::move(copy));
  co_return frozen;
}

Task<Frozen> Assembly::make_golden(templates::TemplateImage image, std::string root, std::string id) {
  std::exception_ptr error;
  std::optional<Frozen> frozen;
  try {
    const Means means = co_await find_means(host_);
    co_await furnish(image, means, nullptr);
    co_await boot_machine(means);
    // What starts beside envd has a moment to come to rest, so that no clone repeats it.
    co_await guest_->warm_up_nobody();
    co_await async::sleep(limits::kGoldenSettle);
    // This machine does not run on: the disk need not be switched.
    auto begin = [root, id] { return snapshot::Draft::begin(root, id); };
    frozen.emplace(Frozen{co_await blocking(std::move(begin)), {}, nullptr, host_.layers.pin()});
    const std::string layer = host_.layers.fresh_disk();
    frozen->pin.add(layer);
    frozen->base = co_await host_.bases.get({}, record_.memory_mb);
    co_await machine_->pause();
    frozen->manifest = co_await capture(frozen->draft);
    auto freeze_disk = [&mechanisms = host_.mechanisms, disk = *record_.disk, layer] {
      return mechanisms.freeze_disk_by_copy(disk, layer);
    };
    frozen->manifest.disk = co_await blocking(std::move(freeze_disk));
    frozen->manifest.sandbox_id.clear();
    crash_point("golden.frozen");
  } catch (...) {
    error = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::exception_ptr left;
  auto remove = destroy();
  co_await attempt(std::move(remove), left);
  if (left)
    log_failure("cannot remove the machine that a golden snapshot was made of", record_.sandbox_id, left);
  if (error) {
    if (frozen) co_await give_up(host_, frozen->draft);
    std::rethrow_exception(error);
  }
  co_return std::move(*frozen);
}

// --- back

Task<snapshot::Snapshot> Assembly::find_checkpoint(std::string checkpoint_id) {
  auto load = [root = host_.checkpoints(record_.sandbox_id), checkpoint_id, &key = host_.seal_key] {
    return snapshot::load(root, checkpoint_id, key);
  };
  auto checkpoint = co_await blocking(std::move(load));
  if (!checkpoint)
    throw_error(ErrorCode::not_found, "sandbox {} has no checkpoint {}", record_.sandbox_id, checkpoint_id);
  const Means means = co_await find_means(host_, record_.kernel_version);
  snapshot::check(checkpoint->manifest, means.resume_host());
  co_return std::move(*checkpoint);
}

// The checkpoint becomes the snapshot of a paused sandbox, and that is resumed.
Task<> Assembly::rollback(snapshot::Snapshot checkpoint) {
  const std::optional<disk::DiskRecord> before = record_.disk;
  snapshot::Manifest manifest = checkpoint.manifest;
  const Layers::Pin pin = host_.layers.pin(layers_of(manifest));
  auto place = [&host = host_, &checkpoint, &manifest, id = record_.sandbox_id, name = record_.place_name(),
                path = overlay_path(directory())] {
    manifest.disk = host.mechanisms.lay_disk_over(checkpoint.manifest.disk, name, path);
    crash_point("rollback.disk_placed");
    auto draft = snapshot::Draft::begin(host.snapshots(), id);
    draft.link_from(checkpoint);
    draft.commit(manifest, host.seal_key);
  };
  co_await step("place", std::move(place));
  const disk::DiskRecord& next = manifest.disk;

  // From here on it is paused, whatever happens.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await settle(SandboxState::paused, "rolled back");
  if (!record_.machine && before && before->cow_path != next.cow_path) {
    auto remove = [path = before->cow_path] {
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove {}", path);
    };
    std::exception_ptr error;
    auto work = blocking(std::move(remove));
    co_await attempt(std::move(work), error);
    crash_point("rollback.old_disk_gone");
    record_.disk = next;
    co_await save_or_log();
  }
  crash_point("rollback.paused");
  co_await resume(std::nullopt);
}

}  // namespace wrenn::agent::sandbox
