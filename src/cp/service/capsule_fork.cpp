// Forks. The children's rows come first, as with create: what the agent has and no row knows is an orphan.
// One call of the agent makes all children or none; whatever else comes back is undone here, row by row and
// on the host.
#include <algorithm>

#include "api/errors.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/capsule_service.h"
#include "cp/service/changes.h"
#include "cp/service/failures.h"
#include "cp/store/labels.h"

namespace wrenn::cp::service {

using store::Change;
using store::Sandbox;
using enum SandboxState;

static Sandbox child_of(const Sandbox& parent, const ForkInput& input, const model::Actor& by) {
  Sandbox row;
  row.id = model::SandboxId::random();
  row.team = parent.team;
  row.by = by;
  row.host = parent.host;  // where the memory is that they share
  row.template_name = parent.template_name;
  row.template_id = parent.template_id;
  row.template_team = parent.template_team;
  row.status = starting;
  row.vcpus = parent.vcpus;
  row.memory_mb = parent.memory_mb;
  row.disk_size_mb = parent.disk_size_mb;
  row.timeout_sec = input.timeout_sec.value_or(parent.timeout_sec);
  row.created_at = row.last_updated = now();
  row.status_deadline = after(row.created_at, limits::kForkingDeadline);
  return row;
}

Task<std::vector<Sandbox>> CapsuleService::fork(Caller caller, model::SandboxId id, ForkInput input,
                                                std::chrono::milliseconds patience) {
  auto since = SteadyClock::now();
  const auto parent = co_await require_kept(caller.team, id);
  hosts_.at(parent.host);

  std::vector<Sandbox> children;
  api::agent::ForkSandboxRequest request;
  request.sandbox_id = id.text();
  for (std::int64_t i = 0; i < input.count; ++i)
    children.push_back(child_of(parent, input, caller.actor));
  // Who takes several rows takes them in this order, so that no two of them wait for each other.
  std::sort(children.begin(), children.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const auto& child : children)
    request.children.push_back({child.id.text(), child.timeout_sec, input.metadata});
  // In the transaction that looks at the parent once more: who destroys it later finds the rows.
  auto insert = [&](db::Connection& connection) {
    auto current = store::find_sandbox(connection, id);
    if (!current || (current->status != running && current->status != paused)) return current;
    quotas_.admit(connection, parent.team,
                  {input.count, input.count * parent.vcpus, input.count * parent.memory_mb});
    for (const auto& child : children) {
      transitions::insert(connection, child);
      store::insert_labels(connection, child.id, child.team, input.metadata);
    }
    return current;
  };
  const auto current = co_await database_.write(insert);
  if (!current) throw_sandbox_not_found();
  if (current->status != running && current->status != paused)
    throw_wrong_state(*current, "running or paused");
  operations_.end_stage("fork", "admit", since);

  std::vector<model::SandboxId> ids;
  for (const auto& child : children) ids.push_back(child.id);
  const auto operation =
      operations_.begin("fork", id.text(), std::move(ids), do_fork(children, std::move(request)));
  auto ended = co_await operation->wait(patience);
  co_return ended ? std::move(*ended) : std::move(children);
}

// What the agent told of `child`. Throws Error(internal) unless it runs.
static const api::agent::SandboxInfo& running_child(const api::agent::ListSandboxesResponse& answer,
                                                    const Sandbox& child) {
  const auto id = child.id.text();
  const auto same = [&id](const auto& one) { return one.sandbox_id == id; };
  const auto found = std::find_if(answer.sandboxes.begin(), answer.sandboxes.end(), same);
  if (found == answer.sandboxes.end())
    throw_error(ErrorCode::internal, "the agent's answer to fork leaves out {}", id);
  if (found->status != running)
    throw_error(ErrorCode::internal, "the agent answered fork with status {} of {}: {}",
                to_string(found->status), id, found->reason.empty() ? "no reason told" : found->reason);
  return *found;
}

Task<std::vector<Sandbox>> CapsuleService::do_fork(std::vector<Sandbox> children,
                                                   api::agent::ForkSandboxRequest request) {
  const auto metadata = request.children.front().metadata;
  std::exception_ptr failure;
  std::vector<Change> changes;
  auto since = SteadyClock::now();
  try {
    const auto answer = co_await hosts_.at(children.front().host).agent.fork(std::move(request));
    const auto at = now();
    for (const auto& child : children) {
      auto info = running_child(answer, child);
      info.metadata.insert(metadata.begin(), metadata.end());
      changes.push_back(running_from(info, at));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("fork", "host", since);
  if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
  if (failure) {
    co_await undo_fork(std::move(children), describe(failure));
    throw_agent_failure(failure);
  }

  const auto at = now();
  std::vector<Sandbox> destroyed;
  auto write = [&](db::Connection& connection) {
    std::vector<Sandbox> rows;
    destroyed.clear();
    for (std::size_t i = 0; i < children.size(); ++i) {
      const auto& child = children[i];
      auto row = transitions::finish(connection, child, changes[i], at);
      if (!row) destroyed.push_back(child);
      if (!row) row = store::find_sandbox(connection, child.id);
      rows.push_back(row ? std::move(*row) : child);
    }
    return rows;
  };
  auto rows = co_await database_.write(write);
  operations_.end_stage("fork", "settle", since);
  // Somebody's destroy may have reached the agent before our fork.
  for (const auto& child : destroyed) co_await destroy_on_agent(child);
  co_return rows;
}

Task<> CapsuleService::undo_fork(std::vector<Sandbox> children, std::string why) {
  const auto at = now();
  const auto failed = change_to(error, std::move(why));
  auto write = [&](db::Connection& connection) {
    std::vector<bool> changed;
    for (const auto& child : children)
      changed.push_back(transitions::finish(connection, child, failed, at).has_value());
    return changed;
  };
  const auto changed = co_await database_.write(write);
  // The answer may have been lost on its way back. What cannot be cleaned now, the reconciler finds.
  for (std::size_t i = 0; i < children.size(); ++i)
    operations_.scope().spawn(clean_up_create(children[i], changed[i]));
  on_unsettled();
}

}  // namespace wrenn::cp::service
