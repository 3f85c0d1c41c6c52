// Time series of capsules. Their host's agent has them, of paused capsules too, in its memory: it is asked
// first. What it would forget with a capsule, or when it starts anew, is fetched beside a pause or destroy
// and kept in the database.
#pragma once

#include "core/async/scope.h"
#include "cp/host_agents.h"
#include "cp/service/usage_rules.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

using async::Task;

class MetricsArchive {
 public:
  // All must outlive this; `scope` must be joined before.
  MetricsArchive(async::Scope& scope, db::Database& database, HostAgents& hosts)
      : scope_(scope), database_(database), hosts_(hosts) {}

  // Both return at once; what fails is told in the log and lost.
  void keep_paused(const store::Sandbox& row);
  // Before its host is asked to destroy it. Only the long series remains of it.
  void keep_last(const store::Sandbox& row);

  // What was kept of the last `range` ("10m"); absent if nothing was kept at all. Throws what the database
  // throws.
  Task<std::optional<MetricPoints>> find(model::SandboxId id, std::string range);

 private:
  Task<> keep(store::Sandbox row, bool all);
  Task<> keep_now(const store::Sandbox& row, bool all);

  async::Scope& scope_;
  db::Database& database_;
  HostAgents& hosts_;
};

}  // namespace wrenn::cp::service
