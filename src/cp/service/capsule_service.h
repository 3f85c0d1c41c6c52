// What can be done to a capsule. No HTTP here: handlers, and later other front ends, call this.
//
// create, pause, resume, fork, rollback and destroy are operations: rows go to a transient state by
// compare-and-set, the agent is asked, the rows go to the state that came out. They run in a scope of their
// own and end even when the client has gone away. An answer of the agent that is lost leaves the row
// transient; `on_unsettled` then wakes the reconciler, which asks the host what is true.
//
// In three files: capsule_service.cpp, capsule_fork.cpp, capsule_checkpoints.cpp.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "cp/host_agents.h"
#include "cp/service/admission.h"
#include "cp/service/caller.h"
#include "cp/service/metrics_archive.h"
#include "cp/service/operation.h"
#include "cp/service/quotas.h"
#include "cp/service/templates.h"
#include "cp/service/transitions.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

using model::SandboxState;

class CapsuleService {
 public:
  // All must outlive this.
  CapsuleService(Operations& operations, db::Database& database, HostAgents& hosts, Templates& templates,
                 const Quotas& quotas, MetricsArchive& archive)
      : operations_(operations),
        database_(database),
        hosts_(hosts),
        templates_(templates),
        quotas_(quotas),
        archive_(archive) {}

  // Called when a row was left for the reconciler.
  std::function<void()> on_unsettled = [] {};

  // Returns when it runs, or with status `starting` after `patience`. Throws PublicError no_hosts_available,
  // those of Quotas::admit(), Error(not_found) for an unknown template, what throw_create_failure() makes of
  // the agent's.
  Task<store::Sandbox> create(Caller caller, CreateInput input, std::chrono::milliseconds patience);

  // Throws Error(not_found) if the team has no such capsule.
  Task<store::Sandbox> get(model::TeamId team, model::SandboxId id);

  // Throw PublicError invalid_state when it is not running (paused), what throw_agent_failure() makes of the
  // agent's; resume(), too, those of Quotas::admit().
  Task<store::Sandbox> pause(Caller caller, model::SandboxId id);
  Task<store::Sandbox> resume(Caller caller, model::SandboxId id, std::chrono::milliseconds patience);
  // Idempotent.
  Task<> destroy(Caller caller, model::SandboxId id);

  // Children of a capsule that runs or is paused and stays what it is: they get its template and sizes, and
  // all of them run at the end, or none exists. After `patience` they are told as `starting`. A child that
  // somebody destroyed meanwhile is told as it is. Throws as pause().
  Task<std::vector<store::Sandbox>> fork(Caller caller, model::SandboxId id, ForkInput input,
                                         std::chrono::milliseconds patience);

  // Checkpoints of a capsule that runs or is paused. What there is, the agent knows; ids are ours. `which` is
  // an id or a name. All throw PublicError invalid_state, what throw_agent_failure() makes of the agent's.
  using Checkpoint = api::agent::CheckpointInfo;
  // Throws PublicError conflict for a name that is taken. An empty name is none.
  Task<Checkpoint> create_checkpoint(model::TeamId team, model::SandboxId id, std::string name);
  Task<std::vector<Checkpoint>> checkpoints(model::TeamId team, model::SandboxId id);
  // Throw Error(not_found) for an unknown checkpoint; rollback() of one that does not run, too, those of
  // Quotas::admit().
  Task<> delete_checkpoint(model::TeamId team, model::SandboxId id, std::string which);
  Task<store::Sandbox> rollback(Caller caller, model::SandboxId id, std::string which,
                                std::chrono::milliseconds patience);

  // Tells the agent that the capsule is in use. Throws as pause().
  Task<> ping(model::TeamId team, model::SandboxId id);
  // The row and the guest of a running capsule. Throws Error(not_found), PublicError invalid_state.
  struct Running {
    store::Sandbox row;
    api::EnvdClient envd;
  };
  Task<Running> require_running(model::TeamId team, model::SandboxId id);
  // The time series of a capsule: as its host has it, or as it was kept when it was paused or ended. Throws
  // Error(not_found) when there is none.
  Task<api::agent::MetricsResponse> metrics(model::TeamId team, model::SandboxId id, std::string range);

  // Of one that its host has paused by itself.
  void keep_metrics(const store::Sandbox& row) { archive_.keep_paused(row); }

  // Writes last_active_at in the background.
  void note_activity(const model::SandboxId& id);

  bool busy(const model::SandboxId& id) const noexcept { return operations_.busy(id); }
  std::size_t operations() const noexcept { return operations_.busy_capsules(); }

 private:
  Task<store::Sandbox> do_create(store::Sandbox row, api::agent::CreateSandboxRequest request);
  Task<store::Sandbox> do_pause(store::Sandbox row);
  Task<store::Sandbox> do_resume(store::Sandbox row);
  Task<store::Sandbox> do_destroy(store::Sandbox row);
  Task<api::agent::SandboxInfo> resume_on_agent(const store::Sandbox& row);
  Task<api::agent::SandboxInfo> rollback_on_agent(const store::Sandbox& row, std::string checkpoint_id);
  // The end of a resume or rollback: running as `call` says, or what the host says if it fails.
  Task<store::Sandbox> come_back(store::Sandbox row, Task<api::agent::SandboxInfo> call,
                                 std::string_view operation, std::string_view doing);

  Task<std::vector<store::Sandbox>> do_fork(std::vector<store::Sandbox> children,
                                            api::agent::ForkSandboxRequest request);
  Task<> undo_fork(std::vector<store::Sandbox> children, std::string why);

  Task<Checkpoint> do_create_checkpoint(store::Sandbox row, std::string name);
  Task<Done> do_delete_checkpoint(store::Sandbox row, std::string checkpoint_id);
  Task<store::Sandbox> do_rollback(store::Sandbox row, std::string checkpoint_id);
  Task<> undo_checkpoint(store::Sandbox row, std::string checkpoint_id);
  Task<std::vector<Checkpoint>> checkpoints_of(const store::Sandbox& row);
  Task<Checkpoint> find_checkpoint(const store::Sandbox& row, std::string_view which);
  // The row of a capsule that runs or is paused.
  Task<store::Sandbox> require_kept(model::TeamId team, model::SandboxId id);

  // Asks the host what became of a failed operation and writes it down; whatever goes wrong is the
  // reconciler's.
  Task<> settle_now(store::Sandbox row, std::string failure);
  // True if it is gone there.
  Task<bool> destroy_on_agent(store::Sandbox row);
  // What a create or fork that failed may have left on the host goes. It `tells` so, unless somebody had ended
  // the row meanwhile: he tells it.
  Task<> clean_up_create(store::Sandbox row, bool tells);
  Task<> write_activity(model::SandboxId id);
  Task<store::Sandbox> begin_change(model::TeamId team, model::SandboxId id,
                                    std::vector<SandboxState> expected, store::Change change,
                                    std::string_view wanted);
  Task<std::optional<store::Sandbox>> finish(store::Sandbox row, store::Change change, Told told = {});

  Operations& operations_;
  db::Database& database_;
  HostAgents& hosts_;
  Templates& templates_;
  const Quotas& quotas_;
  MetricsArchive& archive_;
  std::unordered_map<model::SandboxId, Began<store::Sandbox>> destroying_;
  std::unordered_set<std::string> naming_;  // "capsule/name" of checkpoints that are being made
};

}  // namespace wrenn::cp::service
