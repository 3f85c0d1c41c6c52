// The hosts as people see them: admins of the platform all of them, others the byoc hosts of the team they work in.
#pragma once

#include <string>
#include <vector>

#include "api/agent.h"
#include "core/async/task.h"
#include "core/db/database.h"
#include "cp/host_agents.h"
#include "cp/service/caller.h"
#include "cp/store/hosts.h"

namespace wrenn::cp::service {

using async::Task;

class Hosts {
 public:
  // Both must outlive this.
  Hosts(db::Database& database, HostAgents& agents) : database_(database), agents_(agents) {}

  // By the time they were made.
  Task<std::vector<store::ListedHost>> list(Caller caller);
  // Both throw Error(not_found) for a host that the caller does not see.
  Task<store::ListedHost> get(Caller caller, model::HostId id);
  // The time series of the host as a whole, as its agent has it; `range` as of api::agent::MetricsRequest.
  // Throws what throw_host_failure() makes of the agent's, PublicError host_unavailable.
  Task<api::agent::MetricsResponse> metrics(Caller caller, model::HostId id, std::string range);

 private:
  db::Database& database_;
  HostAgents& agents_;
};

}  // namespace wrenn::cp::service
