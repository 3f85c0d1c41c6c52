// What can be done to a capsule. No HTTP here: handlers, and later other front ends, call this.
//
// create, pause, resume and destroy are operations: the row goes to a transient state by compare-and-set, the
// agent is asked, the row goes to the state that came out. They run in this service's scope and end even when
// the client has gone away. An answer of the agent that is lost leaves the row transient; `on_unsettled` then
// wakes the reconciler, which asks the host what is true.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "core/async/scope.h"
#include "cp/host_agents.h"
#include "cp/service/admission.h"
#include "cp/service/api_keys.h"
#include "cp/service/operation.h"
#include "cp/service/templates.h"

namespace wrenn::cp::service {

using model::SandboxState;

class CapsuleService {
 public:
  // All must outlive this; `scope` must be joined before this dies.
  CapsuleService(async::Scope& scope, db::Database& database, HostAgents& hosts, Templates& templates)
      : scope_(scope), database_(database), hosts_(hosts), templates_(templates) {}

  // Called when a row was left for the reconciler.
  std::function<void()> on_unsettled = [] {};

  // Returns when it runs, or with status `starting` after `patience`. Throws PublicError no_hosts_available,
  // Error(not_found) for an unknown template, what throw_create_failure() makes of the agent's.
  Task<store::Sandbox> create(model::TeamId team, CreateInput input, std::chrono::milliseconds patience);

  // Throws Error(not_found) if the team has no such capsule.
  Task<store::Sandbox> get(model::TeamId team, model::SandboxId id);

  // Throw PublicError invalid_state when it is not running (paused), what throw_agent_failure() makes of the
  // agent's.
  Task<store::Sandbox> pause(model::TeamId team, model::SandboxId id);
  Task<store::Sandbox> resume(model::TeamId team, model::SandboxId id, std::chrono::milliseconds patience);
  // Idempotent.
  Task<> destroy(model::TeamId team, model::SandboxId id);

  // Tells the agent that the capsule is in use. Throws as pause().
  Task<> ping(model::TeamId team, model::SandboxId id);
  // The row and the guest of a running capsule. Throws Error(not_found), PublicError invalid_state.
  struct Running {
    store::Sandbox row;
    api::EnvdClient envd;
  };
  Task<Running> require_running(model::TeamId team, model::SandboxId id);
  // The time series of a capsule that runs or is paused. Throws Error(not_found) in other states.
  Task<api::agent::MetricsResponse> metrics(model::TeamId team, model::SandboxId id, std::string range);

  // Writes last_active_at in the background.
  void note_activity(const model::SandboxId& id);

  // True while an operation of this process works on the capsule.
  bool busy(const model::SandboxId& id) const noexcept { return busy_.contains(id); }
  std::size_t operations() const noexcept { return busy_.size(); }

 private:
  using Ended = std::shared_ptr<Operation>;
  Ended begin(model::SandboxId id, std::string_view name, Task<store::Sandbox> work);
  Task<> drive(Ended operation, model::SandboxId id, std::string name, Task<store::Sandbox> work);

  Task<store::Sandbox> do_create(store::Sandbox row, api::agent::CreateSandboxRequest request);
  Task<store::Sandbox> do_pause(store::Sandbox row);
  Task<store::Sandbox> do_resume(store::Sandbox row);
  Task<store::Sandbox> do_destroy(store::Sandbox row);

  // Asks the host what became of a failed operation and writes it down; whatever goes wrong is the
  // reconciler's.
  Task<> settle_now(store::Sandbox row);
  Task<> destroy_on_agent(store::Sandbox row);
  Task<> write_activity(model::SandboxId id);
  Task<store::Sandbox> begin_change(model::TeamId team, model::SandboxId id,
                                    std::vector<SandboxState> expected, store::Change change,
                                    std::string_view wanted);
  Task<std::optional<store::Sandbox>> finish(store::Sandbox row, store::Change change);

  async::Scope& scope_;
  db::Database& database_;
  HostAgents& hosts_;
  Templates& templates_;
  std::unordered_map<model::SandboxId, int> busy_;  // operations under way; a destroy may overlap another
  std::unordered_map<model::SandboxId, Ended> destroying_;
};

}  // namespace wrenn::cp::service
