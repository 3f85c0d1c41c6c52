// Checkpoints and rollback. There is no table of checkpoints: the agent has them, and they go with the
// capsule.
#include "api/errors.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/capsule_service.h"
#include "cp/service/changes.h"
#include "cp/service/failures.h"

namespace wrenn::cp::service {

using store::Sandbox;
using enum SandboxState;
using Checkpoint = CapsuleService::Checkpoint;

static constexpr std::string_view kKept = "running or paused";
// One that has failed has nothing else left than its checkpoints.
static constexpr std::string_view kKeptOrFailed = "running, paused or failed";

Task<Sandbox> CapsuleService::require_kept(model::TeamId team, model::SandboxId id) {
  auto row = co_await get(team, id);
  if (row.status != running && row.status != paused) throw_wrong_state(row, kKept);
  co_return row;
}

Task<std::vector<Checkpoint>> CapsuleService::checkpoints_of(const Sandbox& row) {
  auto call = hosts_.at(row.host).agent.list_checkpoints(row.id.text());
  auto answer = co_await from_agent(std::move(call));
  co_return std::move(answer.checkpoints);
}

Task<Checkpoint> CapsuleService::find_checkpoint(const Sandbox& row, std::string_view which) {
  auto all = co_await checkpoints_of(row);
  for (auto& one : all)
    if (one.checkpoint_id == which || (!which.empty() && one.name == which)) co_return std::move(one);
  throw_error(ErrorCode::not_found, "checkpoint not found: {}; GET /v1/capsules/{}/checkpoints lists them",
              which, row.id.text());
}

Task<std::vector<Checkpoint>> CapsuleService::checkpoints(model::TeamId team, model::SandboxId id) {
  auto row = co_await get(team, id);
  // While it changes between the two they can be read as well.
  if (row.status != running && row.status != paused && row.status != pausing && row.status != resuming &&
      row.status != error)
    throw_wrong_state(row, kKeptOrFailed);
  co_return co_await checkpoints_of(row);
}

// --- create
// ---------------------------------------------------------------------------------------------------------

[[noreturn]] static void throw_name_taken(std::string_view name) {
  throw api::PublicError(ErrorCode::already_exists, 409, "conflict",
                         fmt::format("the capsule has a checkpoint named {} already", name));
}

Task<Checkpoint> CapsuleService::create_checkpoint(model::TeamId team, model::SandboxId id,
                                                   std::string name) {
  auto row = co_await require_kept(team, id);
  // Two that begin at once with the same name: neither stands in the agent's list yet.
  if (!name.empty() && !naming_.insert(id.text() + "/" + name).second) throw_name_taken(name);
  auto work = do_create_checkpoint(std::move(row), std::move(name));
  const auto operation = operations_.begin("checkpoint", id.text(), {}, std::move(work));
  co_return co_await end_of(operation);
}

Task<Checkpoint> CapsuleService::do_create_checkpoint(Sandbox row, std::string name) {
  const ScopeGuard named([this, key = row.id.text() + "/" + name] { naming_.erase(key); });
  if (!name.empty()) {
    const auto all = co_await checkpoints_of(row);
    for (const auto& one : all)
      if (one.name == name) throw_name_taken(name);
  }
  api::agent::CheckpointRequest request;
  request.sandbox_id = row.id.text();
  request.checkpoint_id = model::CheckpointId::random().text();
  request.name = name;
  const auto checkpoint_id = request.checkpoint_id;
  std::exception_ptr failure;
  Checkpoint made;
  auto since = SteadyClock::now();
  try {
    made = co_await hosts_.at(row.host).agent.create_checkpoint(std::move(request));
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("checkpoint", "host", since);
  if (failure) {
    // The answer may have been lost on its way back, and nobody knows the id.
    if (!async::is_cancellation(failure)) operations_.scope().spawn(undo_checkpoint(row, checkpoint_id));
    on_unsettled();
    throw_agent_failure(failure);
  }
  co_return made;
}

Task<> CapsuleService::undo_checkpoint(Sandbox row, std::string checkpoint_id) {
  std::exception_ptr failure;
  try {
    api::agent::CheckpointRequest request;
    request.sandbox_id = row.id.text();
    request.checkpoint_id = checkpoint_id;
    co_await hosts_.at(row.host).agent.delete_checkpoint(std::move(request));
  } catch (...) {
    failure = std::current_exception();
  }
  // If it is there after all, lists show it: it can be used and deleted.
  if (failure && !async::is_cancellation(failure))
    log::warn("cleaning up after a failed checkpoint did not work",
              {{"sandbox", row.id.text()}, {"checkpoint", checkpoint_id}, {"error", describe(failure)}});
}

// --- delete and rollback
// --------------------------------------------------------------------------------------------

Task<> CapsuleService::delete_checkpoint(model::TeamId team, model::SandboxId id, std::string which) {
  auto row = co_await require_kept(team, id);
  auto found = co_await find_checkpoint(row, which);
  auto work = do_delete_checkpoint(std::move(row), std::move(found.checkpoint_id));
  const auto operation = operations_.begin("delete checkpoint", id.text(), {}, std::move(work));
  co_await end_of(operation);
}

Task<Done> CapsuleService::do_delete_checkpoint(Sandbox row, std::string checkpoint_id) {
  api::agent::CheckpointRequest request;
  request.sandbox_id = row.id.text();
  request.checkpoint_id = std::move(checkpoint_id);
  auto since = SteadyClock::now();
  const ScopeGuard told([&] { operations_.end_stage("delete checkpoint", "host", since); });
  auto call = hosts_.at(row.host).agent.delete_checkpoint(std::move(request));
  co_await from_agent(std::move(call));
  co_return Done{};
}

Task<Sandbox> CapsuleService::rollback(Caller caller, model::SandboxId id, std::string which,
                                       std::chrono::milliseconds patience) {
  // A name that is none must not stop what runs.
  const auto before = co_await get(caller.team, id);
  if (before.status != running && before.status != paused && before.status != error)
    throw_wrong_state(before, kKeptOrFailed);
  const auto checkpoint = co_await find_checkpoint(before, which);
  std::vector<SandboxState> expected{running, paused, error};
  auto change = begin_to(resuming, limits::kResumingDeadline, caller.actor);
  auto row = co_await begin_change(caller.team, id, std::move(expected), std::move(change), kKeptOrFailed);
  const auto operation =
      operations_.begin("rollback", id.text(), {id}, do_rollback(row, checkpoint.checkpoint_id));
  auto ended = co_await operation->wait(patience);
  co_return ended ? std::move(*ended) : std::move(row);
}

Task<api::agent::SandboxInfo> CapsuleService::rollback_on_agent(const Sandbox& row,
                                                                std::string checkpoint_id) {
  api::agent::CheckpointRequest request;
  request.sandbox_id = row.id.text();
  request.checkpoint_id = std::move(checkpoint_id);
  co_return co_await hosts_.at(row.host).agent.rollback(std::move(request));
}

Task<Sandbox> CapsuleService::do_rollback(Sandbox row, std::string checkpoint_id) {
  auto call = rollback_on_agent(row, std::move(checkpoint_id));
  co_return co_await come_back(row, std::move(call), "rollback", "rolled back");
}

}  // namespace wrenn::cp::service
