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

  // A round every config.reconcile_period, soon after wake(), at once after host_changed(), and while rows
  // are left that an earlier process had begun something with. Ends by cancellation only.
  Task<> run();
  Task<> round();
  void wake() noexcept { look_at(SteadyClock::now() + limits::kWakeDelay); }
  void host_changed() noexcept { look_at(last_round_ + limits::kWakeDelay); }

 private:
  Task<> compare(HostAgent& host, std::vector<store::Sandbox> rows, UnixTime read_at,
                 api::agent::ListSandboxesResponse facts);
  // `fact` is what the host says of it, if anything.
  Task<> apply(HostAgent& host, store::Sandbox row, service::Settled settled,
               const api::agent::SandboxInfo* fact);
  Task<> look_at_unknown(HostAgent& host, api::agent::SandboxInfo fact);
  Task<> note_silence(HostAgent& host, std::vector<store::Sandbox> rows, std::string why);
  Task<> sync_templates_when_due();
  Task<> destroy(HostAgent& host, std::string sandbox_id, std::string_view reason);
  void look_at(SteadyTime when) noexcept;

  db::Database& database_;
  HostAgents& hosts_;
  service::Templates& templates_;
  service::CapsuleService& capsules_;
  metrics::Registry& metrics_;
  const Config& config_;
  async::Event woken_;
  const UnixTime begun_ = now();
  SteadyTime last_round_{};
  SteadyTime next_round_{};
  SteadyTime last_heard_;
  UnixTime heard_before_{};  // the time before this one, also by an earlier process
  SteadyTime last_template_sync_{};
  bool was_silent_ = false;
  std::unordered_map<std::string, SteadyTime> first_seen_;  // capsules on the host that no row knows
};

}  // namespace wrenn::cp::worker
