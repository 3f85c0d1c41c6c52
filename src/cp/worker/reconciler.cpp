#include "cp/worker/reconciler.h"

#include <algorithm>
#include <unordered_set>

#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/host_news.h"
#include "cp/worker/attempt.h"

namespace wrenn::cp::worker {

using service::Settle;
using service::Settled;
using store::Sandbox;

// One capsule must not keep the others from being looked at: it would do so in every round.
static constexpr std::string_view kNotMended = "a capsule was not mended; the next round tries again";

Reconciler::Reconciler(async::Executor executor, db::Database& database, HostAgents& hosts,
                       service::Templates& templates, service::CapsuleService& capsules,
                       metrics::Registry& registry, const Config& config)
    : database_(database),
      hosts_(hosts),
      templates_(templates),
      capsules_(capsules),
      metrics_(registry),
      config_(config),
      woken_(executor),
      last_heard_(SteadyClock::now()) {}

void Reconciler::look_at(SteadyTime when) noexcept {
  if (when >= next_round_) return;
  next_round_ = when;
  woken_.notify_all();
}

Task<> Reconciler::run() {
  std::string told;  // why the last round failed
  for (;;) {
    next_round_ = SteadyTime::max();  // what is asked for from here on, the round may have missed
    std::exception_ptr failure;
    try {
      co_await round();
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      if (async::is_cancellation(failure)) co_return;
      auto why = wrenn::describe(failure);
      log::write(why == told ? log::Level::debug : log::Level::error,
                 "reconciler round failed; the next one tries again", {{"error", why}});
      told = std::move(why);
    } else {
      told.clear();
    }
    last_round_ = SteadyClock::now();
    look_at(last_round_ + config_.reconcile_period);
    while (SteadyClock::now() < next_round_) (void)co_await woken_.wait_for(next_round_ - SteadyClock::now());
  }
}

Task<> Reconciler::round() {
  auto& host = hosts_.local();
  // Rows first, facts second: a capsule that ran before the question and is not in the answer is really gone.
  // Whatever changes in between counts the row's revision up, and our write then does nothing.
  const auto id = host.host.id;
  auto read = [this, &id](db::Connection& connection) {
    heard_before_ = store::host_last_heard(connection, id).value_or(UnixTime{});
    return store::live_sandboxes(connection, id);
  };
  const auto read_at = now();
  auto rows = co_await database_.read(read);

  api::agent::ListSandboxesResponse facts;
  std::exception_ptr failure;
  try {
    facts = co_await host.agent.list();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    co_await note_silence(host, std::move(rows), wrenn::describe(failure));
    co_return;
  }

  last_heard_ = SteadyClock::now();
  const auto at = now();
  auto heard = [&id, at](db::Connection& connection) {
    const bool is_news = store::set_host_heard(connection, id, at);
    if (is_news) service::tell_of_host(connection, service::HostNews::up, id, at);
    return is_news;
  };
  const bool changed = co_await database_.write(heard);
  if (changed || was_silent_)
    log::info("host agent answers", {{"host", id.text()}, {"address", host.host.address}});
  was_silent_ = false;
  if (changed) last_template_sync_ = {};
  co_await compare(host, std::move(rows), read_at, std::move(facts));
  co_await sync_templates_when_due();
}

Task<> Reconciler::compare(HostAgent& host, std::vector<Sandbox> rows, UnixTime read_at,
                           api::agent::ListSandboxesResponse facts) {
  std::unordered_map<std::string_view, const api::agent::SandboxInfo*> by_id;
  for (const auto& fact : facts.sandboxes) by_id[fact.sandbox_id] = &fact;
  // An agent and a control plane that are younger than a row do not work on what an earlier one had begun
  // with it.
  UnixTime abandoned_before{};
  if (facts.agent_up_ms > 0)
    abandoned_before = std::min(begun_, UnixTime{now().us - facts.agent_up_ms * 1000});

  std::unordered_set<std::string> known;
  for (const auto& row : rows) {
    const auto id = row.id.text();
    const auto found = by_id.find(id);
    known.insert(id);
    if (capsules_.busy(row.id)) continue;
    const auto* fact = found == by_id.end() ? nullptr : found->second;
    auto settled = service::settle(row, fact, read_at, abandoned_before);
    if (settled.what != Settle::leave) {
      auto work = apply(host, row, std::move(settled), fact);
      co_await attempt(kNotMended, std::move(work), id);
    } else if (const auto at = now(); const auto again = service::look_again_at(row, at)) {
      look_at(SteadyClock::now() + std::chrono::microseconds(again->us - at.us));
    }
  }

  for (auto seen = first_seen_.begin(); seen != first_seen_.end();)
    seen = by_id.contains(seen->first) ? std::next(seen) : first_seen_.erase(seen);
  for (const auto& fact : facts.sandboxes) {
    if (known.contains(fact.sandbox_id)) continue;
    auto work = look_at_unknown(host, fact);
    co_await attempt(kNotMended, std::move(work), fact.sandbox_id);
  }
}

Task<> Reconciler::apply(HostAgent& host, Sandbox row, Settled settled, const api::agent::SandboxInfo* fact) {
  if (settled.what == Settle::destroy) {
    co_await destroy(host, row.id.text(), "the row is stopping");
    settled.change.to = service::SandboxState::stopped;
    settled.change.reason = row.status_reason;
  }
  const auto at = now();
  const auto ran_until = service::ran_until(row, fact, std::max(heard_before_, row.last_updated), at);
  auto write = [&](db::Connection& connection) {
    return service::transitions::finish(connection, row, settled.change, at, {"", true, ran_until});
  };
  const auto changed = co_await database_.write(write);
  if (!changed) co_return;  // somebody else was at work after all
  if (changed->status == service::SandboxState::paused) capsules_.keep_metrics(*changed);
  const std::string to(to_string(settled.change.to));
  log::info("capsule follows its host", {{"sandbox", row.id.text()},
                                         {"from", to_string(row.status)},
                                         {"to", to},
                                         {"reason", settled.change.reason}});
  const metrics::Labels labels{{"to", to}};
  metrics_
      .counter("wrenn_cp_reconciled_total", "Capsules whose row was mended from what their host says.",
               labels)
      .add();
}

Task<> Reconciler::look_at_unknown(HostAgent& host, api::agent::SandboxInfo fact) {
  const auto id = model::SandboxId::parse(fact.sandbox_id);
  if (!id || capsules_.busy(*id)) co_return;
  auto find = [&id](db::Connection& connection) { return store::find_sandbox(connection, *id); };
  const auto row = co_await database_.read(find);

  const auto at = SteadyClock::now();
  const bool first = !first_seen_.contains(fact.sandbox_id);
  const auto since = first_seen_.try_emplace(fact.sandbox_id, at).first->second;
  if (first && !row)
    log::warn("a host has a capsule that the database does not know",
              {{"sandbox", fact.sandbox_id}, {"status", to_string(fact.status)}});
  if (service::is_orphan_to_destroy(row, fact, now(), at - since > limits::kOrphanGrace))
    co_await destroy(host, fact.sandbox_id, "orphaned");
}

Task<> Reconciler::destroy(HostAgent& host, std::string sandbox_id, std::string_view reason) {
  log::info("destroying a capsule that nobody wants", {{"sandbox", sandbox_id}, {"reason", reason}});
  co_await host.agent.destroy(sandbox_id);
  metrics_
      .counter("wrenn_cp_orphans_destroyed_total",
               "Capsules destroyed on a host because no live row wants them.")
      .add();
}

Task<> Reconciler::note_silence(HostAgent& host, std::vector<Sandbox> rows, std::string why) {
  if (!was_silent_) log::warn("host agent does not answer", {{"address", host.host.address}, {"error", why}});
  was_silent_ = true;
  if (SteadyClock::now() - last_heard_ < config_.host_lost_after) co_return;

  const auto id = host.host.id;
  const auto at = now();
  auto lost = [&id, at](db::Connection& connection) {
    const bool is_news = store::set_host_unreachable(connection, id, at);
    if (is_news) service::tell_of_host(connection, service::HostNews::down, id, at);
    return is_news;
  };
  if (co_await database_.write(lost))
    log::error("host is unreachable", {{"host", id.text()}, {"error", why}});
  for (const auto& row : rows) {
    using enum service::SandboxState;
    if (row.status == paused || row.status == stopping || row.status == missing || capsules_.busy(row.id))
      continue;
    Settled settled;
    settled.what = Settle::change;
    settled.change.to = missing;
    settled.change.reason = "host_unreachable";
    auto work = apply(host, row, std::move(settled), nullptr);
    co_await attempt(kNotMended, std::move(work), row.id.text());
  }
}

Task<> Reconciler::sync_templates_when_due() {
  const auto at = SteadyClock::now();
  if (last_template_sync_ != SteadyTime{} && at - last_template_sync_ < limits::kTemplateSyncPeriod)
    co_return;
  co_await templates_.sync();
  last_template_sync_ = at;
}

}  // namespace wrenn::cp::worker
