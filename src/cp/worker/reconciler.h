// The reconciler: compares what the rows say with what the host says, and mends the rows (or the host) until
// both agree. It repairs every lost answer, crash and expired transient state; requests never repair anything
// themselves. Each round is idempotent and takes no input; a round that fails is repeated by the next.
#pragma once

#include <unordered_map>

#include "core/metrics/metrics.h"
#include "cp/config.h"
#include "cp/service/capsule_service.h"
#include "cp/service/settle.h"

namespace wrenn::cp::worker {

using async::Task;

class Reconciler {
 public:
  // All must outlive this.
  Reconciler(async::Executor executor, db::Database& database, HostAgents& hosts,
             service::Templates& templates, service::CapsuleService& capsules, metrics::Registry& registry,
             const Config& config);

  // A round every config.reconcile_period, and soon after wake(). Ends by cancellation only.
  Task<> run();
  Task<> round();
  void wake();

 private:
  Task<> compare(HostAgent& host, std::vector<store::Sandbox> rows, api::agent::ListSandboxesResponse facts);
  Task<> apply(HostAgent& host, store::Sandbox row, service::Settled settled);
  Task<> look_at_unknown(HostAgent& host, api::agent::SandboxInfo fact);
  Task<> note_silence(HostAgent& host, std::vector<store::Sandbox> rows, std::string why);
  Task<> sync_templates_when_due();
  Task<> destroy(HostAgent& host, std::string sandbox_id, std::string_view reason);

  db::Database& database_;
  HostAgents& hosts_;
  service::Templates& templates_;
  service::CapsuleService& capsules_;
  metrics::Registry& metrics_;
  const Config& config_;
  async::Event woken_;
  bool wake_pending_ = false;
  SteadyTime last_heard_;
  SteadyTime last_template_sync_{};
  bool was_silent_ = false;
  std::unordered_map<std::string, SteadyTime> first_seen_;  // capsules on the host that no row knows
};

}  // namespace wrenn::cp::worker
