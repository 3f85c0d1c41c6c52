// All sandboxes of this agent, by id, and the coroutines of their drivers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/sandbox/changes.h"
#include "agent/sandbox/driver.h"
#include "agent/sandbox/goldens.h"

namespace wrenn::agent::sandbox {

class Registry {
 public:
  explicit Registry(Host& host);

  // What the journal knows, then what only our claims know; before anything else. A sandbox that cannot be
  // recovered does not keep the others from it.
  Task<> recover();

  // Idempotent by id: a create of a sandbox that is being created or runs gives the same answer. Throws
  // Error.
  Task<api::agent::SandboxInfo> create(const api::agent::CreateSandboxRequest& request);
  // An unknown id is a success.
  Task<> destroy(std::string sandbox_id);
  Task<api::agent::SandboxInfo> pause(std::string sandbox_id, std::string reason);
  Task<api::agent::SandboxInfo> resume(std::string sandbox_id, std::optional<std::int64_t> timeout_sec);

  // Children that go on from this moment (registry_branches.cpp, as the next four): all of them run when it
  // returns, or none exists. Children that exist already are taken for those of an earlier call. Throws
  // Error.
  Task<std::vector<api::agent::SandboxInfo>> fork(api::agent::ForkSandboxRequest request);
  Task<api::agent::CheckpointInfo> create_checkpoint(api::agent::CheckpointRequest request);
  Task<std::vector<api::agent::CheckpointInfo>> list_checkpoints(std::string sandbox_id);
  Task<> delete_checkpoint(api::agent::CheckpointRequest request);
  Task<api::agent::SandboxInfo> rollback(api::agent::CheckpointRequest request);
  Task<api::agent::TemplateInfo> create_snapshot(api::agent::CreateSnapshotRequest request);
  Task<> delete_template(api::agent::DeleteTemplateRequest request);

  // Makes golden snapshots ahead of their first use, for templates that ask for it. Until done or cancelled.
  Task<> warm_templates();

  // Null for an unknown id.
  std::shared_ptr<Driver> find(const std::string& sandbox_id) const;
  // Throws Error(not_found).
  std::shared_ptr<Driver> get(const std::string& sandbox_id) const;
  std::vector<api::agent::SandboxInfo> list() const;
  std::map<SandboxState, int> count() const;
  // What has become of sandboxes by itself.
  Changes& changes() noexcept { return changes_; }

  // The reaper: looks for sandboxes that nobody uses, until cancelled.
  Task<> watch_idle();
  // Pauses all that run, some at a time; failures are logged.
  Task<> pause_all();
  // Ends all drivers; running machines run on. Afterwards nothing of the registry runs.
  Task<> close();

 private:
  Task<> recover_in_turn(std::vector<Record>& records);
  Task<> recover_one(Record record);
  Task<> sweep();
  Task<> drive(std::shared_ptr<Driver> driver);
  void add(std::shared_ptr<Driver> driver);
  Task<Frozen> freeze(const std::string& sandbox_id, std::string root, std::string id);
  Task<> make_children(const api::agent::ForkSandboxRequest& request, const Driver& parent, Frozen& frozen,
                       std::vector<api::agent::SandboxInfo>& infos);
  Task<> run_children(const std::vector<std::shared_ptr<Driver>>& children);

  Host& host_;
  Changes changes_;
  Goldens goldens_;
  std::map<std::string, std::shared_ptr<Driver>> drivers_;
  async::Scope scope_;
  bool closed_ = false;
};

}  // namespace wrenn::agent::sandbox
