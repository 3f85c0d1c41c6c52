// Assembly: the parts of one sandbox on this host, and the steps that put them together and take them apart.
//
//   create    record → network slot → cgroup, disk → machine: a clone of a snapshot, or a boot → running
//   introduce a clone is told who it is (a boot is, before it counts as running)
//   pause     running → freeze → snapshot → machine, network, cgroup go, disk stays → paused
//   resume    paused → cgroup, network, disk → machine restored → (retire the snapshot) → guest answers →
//   running freeze    running → stopped for a moment → its state of now, for others → running rollback  →
//   paused at a checkpoint → resume fail      the machine is gone → network, cgroup go, disk stays → error
//   destroy   everything goes
//
// Each step is written so that doing it again after a crash is right, and everything that takes something
// away is idempotent and works from the record alone; so a failure in the middle, a destroy and the start of
// the agent after a crash all clean up with the same code. The record is saved before anything that it names
// is made and after anything that it names is gone.
//
// Not here: which command is allowed when (admission.h), who waits for it (driver.h). One operation at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sandbox/guest.h"
#include "agent/sandbox/host.h"
#include "agent/sandbox/means.h"
#include "agent/sandbox/origin.h"

namespace wrenn::agent::sandbox {

class Assembly {
 public:
  // `host` outlives this.
  Assembly(Host& host, Record record) : host_(host), record_(std::move(record)) {}
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  const Record& record() const noexcept { return record_; }
  // After an operation: everything of it is gone, or record().state says what it is now.
  bool gone() const noexcept { return gone_; }
  // Null unless the sandbox runs.
  const std::shared_ptr<vmm::Machine>& machine() const noexcept { return machine_; }
  const std::shared_ptr<Guest>& guest() const noexcept { return guest_; }

  // All throw Error. A cancellation counts as a failure; what must be undone is undone before it is rethrown.

  // Whether it fails or not: afterwards all of the sandbox is there, or nothing. `origin` is what it is made
  // from; null: its template's golden snapshot, or a boot. A clone runs when this returns, but must still be
  // introduced.
  Task<> create(templates::TemplateImage image, std::shared_ptr<const Origin> origin);
  // Until this has succeeded nobody may talk to the guest.
  Task<> introduce();
  // A machine for whoever comes next: a clone of a golden snapshot that was introduced to a made-up identity,
  // has run a program, and stands still. Its record says `starting`, so a crash removes it. Throws as
  // create(); then nothing is left.
  Task<> make_spare(templates::TemplateImage image, std::shared_ptr<const Origin> origin);
  // A golden snapshot of `image`: boots a machine of the record's sizes, freezes it before anybody has used
  // it, and leaves nothing else behind.
  Task<Frozen> make_golden(templates::TemplateImage image, std::string root, std::string id);
  // On failure the sandbox runs on, as before. `on_paused` is called when it is paused for good, while the
  // rests of its machine are still being freed; it must not throw.
  Task<> pause(std::string reason, std::function<void()> on_paused);
  // On failure the sandbox is paused, as before; when the guest had run already and did not come up, it is
  // paused again. Error(data_loss) when that fails too: it is lost then, see fail().
  Task<> resume(std::optional<std::int64_t> timeout_sec);
  // Its state of now; ROOT/ID is where it can be committed to. A running machine stands still for as long as
  // it takes to copy the pages that it has changed, and runs on, also on failure; a paused one is not
  // touched.
  Task<Frozen> freeze(std::string root, std::string id);
  // After a merge of its disk's files: the record names them no longer, if it was finished. Ends one that
  // goes on.
  Task<> settle_merge();
  // Throws Error(not_found | data_loss | failed_precondition) when there is no such checkpoint that this host
  // can use; the sandbox goes on then. After a later failure it is paused, at the checkpoint.
  Task<snapshot::Snapshot> find_checkpoint(std::string checkpoint_id);
  Task<> rollback(snapshot::Snapshot checkpoint);
  // The machine has ended, or is given up. Does not throw.
  Task<> fail(std::string reason);
  // Does all it can, then throws the first failure; may be repeated.
  Task<> destroy();

  enum class Found { running, paused, error, gone };
  // At the start of the agent: finds out what the record stands for by now, and makes it so. Throws only when
  // even the cleaning up fails.
  Task<Found> recover();

 private:
  class Stage;

  Task<> step(std::string_view name, std::function<void()> work);
  Task<> save();
  Task<> save_or_log();
  Task<> build(templates::TemplateImage image, std::shared_ptr<const Origin> origin);
  Task<> whole_or_nothing(Task<> making, std::string_view problem);
  Task<> take_slot();
  Task<> take_spare(std::unique_ptr<Assembly> spare);
  Task<> clone_spare(templates::TemplateImage image, std::shared_ptr<const Origin> origin);
  Task<std::shared_ptr<const Origin>> open_template(const templates::TemplateImage& image,
                                                    const Means& means);
  Task<> furnish(const templates::TemplateImage& image, const Means& means, const Origin* origin);
  Task<> boot_machine(const Means& means);
  Task<> clone_machine(const Means& means, const Origin& origin);
  Task<> restore_machine(vmm::Vmm& vmm, vmm::MachineConfig config, const snapshot::Snapshot& snapshot);
  Task<> rebuild(const Means& means, const snapshot::Snapshot& snapshot, bool& retired);
  Task<snapshot::Manifest> capture(snapshot::Draft& draft);
  Task<> take_snapshot();
  Task<> fill_snapshot(snapshot::Draft& draft);
  Task<Frozen> freeze_running(std::string root, std::string id);
  Task<Frozen> freeze_paused(std::string root, std::string id);
  struct DiskSwitch;
  Task<> prepare_switch(DiskSwitch& disk);
  Task<> finish_switch(const DiskSwitch& disk);
  Task<> settle_switch();
  Task<> stop_and_capture(Frozen& frozen, DiskSwitch& disk);
  Task<> attach_host_parts();
  Task<> make_storage(std::function<disk::DiskRecord()> make);
  vmm::MachineConfig machine_config(const Means& means,
                                    std::shared_ptr<const snapshot::MemoryBase> base) const;
  void make_guest();
  Task<> bring_up();
  Task<> free_runtime();
  void forget_slot();
  Task<> settle(model::SandboxState state, std::string reason, std::function<void()> on_written = {});
  Task<> adopt_machine();
  Task<> kill_strays();
  Task<std::string> take_over(std::optional<snapshot::Snapshot> snapshot);
  Task<std::optional<snapshot::Snapshot>> load_snapshot();
  template <typename F>
  auto blocking(F work) {
    return async::offload(host_.sys, std::move(work));
  }
  std::string directory() const { return host_.journal.sandbox_directory(record_.place_name()); }

  Host& host_;
  Record record_;
  std::shared_ptr<vmm::Machine> machine_;
  std::shared_ptr<Guest> guest_;
  // Only while a machine is being started.
  NetworkAttachment attachment_;
  std::optional<sys::Fd> group_;
  std::optional<int> freed_slot_;  // free, but the record on disk may still name it
  bool gone_ = false;
};

}  // namespace wrenn::agent::sandbox
