// All sandboxes of this agent, by id, and the coroutines of their drivers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/sandbox/driver.h"

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

  // Null for an unknown id.
  std::shared_ptr<Driver> find(const std::string& sandbox_id) const;
  // Throws Error(not_found).
  std::shared_ptr<Driver> get(const std::string& sandbox_id) const;
  std::vector<api::agent::SandboxInfo> list() const;
  std::map<SandboxState, int> count() const;

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

  Host& host_;
  std::map<std::string, std::shared_ptr<Driver>> drivers_;
  async::Scope scope_;
  bool closed_ = false;
};

}  // namespace wrenn::agent::sandbox
