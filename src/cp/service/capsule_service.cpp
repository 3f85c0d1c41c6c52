#include "cp/service/capsule_service.h"

#include "api/errors.h"
#include "core/json/fields.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/service/failures.h"
#include "cp/service/note.h"
#include "cp/service/settle.h"
#include "cp/store/idempotency.h"
#include "cp/store/labels.h"

namespace wrenn::cp::service {

using store::Change;
using store::Sandbox;
using enum SandboxState;

static std::string text_of(std::exception_ptr error) {
  return describe(error);
}

// An operation has ended, but its row has gone on without it.
[[noreturn]] static void throw_destroyed_while(std::string_view doing) {
  throw api::PublicError(ErrorCode::aborted, 409, "conflict",
                         fmt::format("the capsule was destroyed while it was being {}", doing));
}

// --- create
// ---------------------------------------------------------------------------------------------------------

Task<Sandbox> CapsuleService::create(Caller caller, CreateInput input, std::chrono::milliseconds patience) {
  if (caller.made_before) co_return co_await get(caller.team, *caller.made_before);
  auto since = SteadyClock::now();
  const auto chosen = co_await templates_.resolve(caller.team, input.template_name);
  // A snapshot holds memory: its size is not the request's to choose.
  if (chosen.vcpus > 0) input.vcpus = chosen.vcpus;
  if (chosen.memory_mb > 0) input.memory_mb = chosen.memory_mb;
  const auto& host = hosts_.pick(input.vcpus, input.memory_mb, chosen).host;

  Sandbox row;
  row.id = model::SandboxId::random();
  row.team = caller.team;
  row.by = caller.actor;
  row.host = host.id;
  row.template_name = input.template_name.empty() ? chosen.name : input.template_name;
  row.template_id = chosen.id;
  row.template_team = chosen.team;
  row.status = starting;
  row.vcpus = input.vcpus;
  row.memory_mb = input.memory_mb;
  row.disk_size_mb = limits::kDiskSizeMb;
  row.timeout_sec = input.timeout_sec;
  row.metadata = metadata_json(input.metadata);
  row.created_at = row.last_updated = now();
  row.status_deadline = after(row.created_at, limits::kStartingDeadline);

  api::agent::CreateSandboxRequest request;
  request.sandbox_id = row.id.text();
  request.team_id = caller.team.text();
  request.template_id = chosen.id.digits();
  request.template_team_id = chosen.team.digits();
  request.template_name = chosen.name;
  request.vcpus = static_cast<std::int32_t>(row.vcpus);
  request.memory_mb = static_cast<std::int32_t>(row.memory_mb);
  request.disk_size_mb = static_cast<std::int32_t>(row.disk_size_mb);
  request.timeout_sec = row.timeout_sec;
  request.default_user = chosen.default_user;
  request.boot = input.boot;
  request.metadata = input.metadata;
  request.default_env = json::from_json<std::map<std::string, std::string>>(chosen.default_env);

  // The row comes first: what the agent has and no row knows is an orphan.
  auto insert = [&](db::Connection& connection) {
    quotas_.admit(connection, row.team, {1, row.vcpus, row.memory_mb});
    transitions::insert(connection, row);
    store::insert_labels(connection, row.id, row.team, input.metadata);
    if (!caller.request_key.empty())
      store::set_idempotency_sandbox(connection, {caller.team, caller.actor.id, caller.request_key}, row.id);
  };
  co_await database_.write(insert);
  operations_.end_stage("create", "admit", since);
  const auto operation =
      operations_.begin("create", row.id.text(), {row.id}, do_create(row, std::move(request)));
  auto ended = co_await operation->wait(patience);
  co_return ended ? std::move(*ended) : std::move(row);
}

Task<Sandbox> CapsuleService::do_create(Sandbox row, api::agent::CreateSandboxRequest request) {
  const auto metadata = request.metadata;
  std::exception_ptr failure;
  api::agent::SandboxInfo info;
  auto since = SteadyClock::now();
  try {
    info = co_await hosts_.at(row.host).agent.create(std::move(request));
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("create", "host", since);
  if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
  if (!failure && info.status != running)
    failure = std::make_exception_ptr(
        Error(ErrorCode::internal,
              fmt::format("the agent answered create with status {}: {}", to_string(info.status),
                          info.reason.empty() ? "no reason told" : info.reason)));
  if (failure) {
    // First the row, so that a user who asks sees it; then the host is cleaned, for the answer may have been
    // lost on its way back. If that fails too, the reconciler finds the orphan.
    auto failed = change_to(error, text_of(failure));
    const auto after_failure = co_await finish(row, std::move(failed));
    operations_.scope().spawn(clean_up_create(row, after_failure.has_value()));
    throw_create_failure(failure);
  }
  info.metadata.insert(metadata.begin(), metadata.end());
  auto started = running_from(info, now());
  auto after_start = co_await finish(row, std::move(started));
  operations_.end_stage("create", "settle", since);
  if (after_start) co_return std::move(*after_start);
  // Somebody destroyed it meanwhile, and his destroy may have reached the agent before our create.
  co_await destroy_on_agent(row);
  throw_destroyed_while("created");
}

// --- pause and resume
// -----------------------------------------------------------------------------------------------

Task<Sandbox> CapsuleService::pause(Caller caller, model::SandboxId id) {
  std::vector<SandboxState> expected{running};
  auto change = begin_to(pausing, limits::kPausingDeadline, caller.actor);
  auto row = co_await begin_change(caller.team, id, std::move(expected), std::move(change), "running");
  const auto operation = operations_.begin("pause", id.text(), {id}, do_pause(std::move(row)));
  co_return co_await end_of(operation);
}

Task<Sandbox> CapsuleService::do_pause(Sandbox row) {
  std::exception_ptr failure;
  auto since = SteadyClock::now();
  try {
    co_await hosts_.at(row.host).agent.pause(row.id.text());
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("pause", "host", since);
  if (failure) {
    co_await settle_now(row, text_of(failure));
    throw_agent_failure(failure);
  }
  auto change = change_to(paused);
  change.host_ip = "";
  auto after_pause = co_await finish(row, std::move(change));
  operations_.end_stage("pause", "settle", since);
  if (!after_pause) throw_destroyed_while("paused");
  archive_.keep_paused(*after_pause);
  co_return std::move(*after_pause);
}

Task<Sandbox> CapsuleService::resume(Caller caller, model::SandboxId id, std::chrono::milliseconds patience) {
  std::vector<SandboxState> expected{paused};
  auto change = begin_to(resuming, limits::kResumingDeadline, caller.actor);
  auto row = co_await begin_change(caller.team, id, std::move(expected), std::move(change), "paused");
  const auto operation = operations_.begin("resume", id.text(), {id}, do_resume(row));
  auto ended = co_await operation->wait(patience);
  co_return ended ? std::move(*ended) : std::move(row);
}

Task<api::agent::SandboxInfo> CapsuleService::resume_on_agent(const Sandbox& row) {
  api::agent::ResumeSandboxRequest request;
  request.sandbox_id = row.id.text();
  request.timeout_sec = row.timeout_sec;
  co_return co_await hosts_.at(row.host).agent.resume(std::move(request));
}

Task<Sandbox> CapsuleService::do_resume(Sandbox row) {
  auto call = resume_on_agent(row);
  co_return co_await come_back(row, std::move(call), "resume", "resumed");
}

Task<Sandbox> CapsuleService::come_back(Sandbox row, Task<api::agent::SandboxInfo> call,
                                        std::string_view operation, std::string_view doing) {
  std::exception_ptr failure;
  api::agent::SandboxInfo info;
  auto since = SteadyClock::now();
  try {
    info = co_await std::move(call);
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage(operation, "host", since);
  if (failure) {
    co_await settle_now(row, text_of(failure));
    throw_agent_failure(failure);
  }
  auto change = running_from(info, now());
  auto back = co_await finish(row, std::move(change));
  operations_.end_stage(operation, "settle", since);
  if (!back) throw_destroyed_while(doing);
  co_return std::move(*back);
}

// --- destroy
// --------------------------------------------------------------------------------------------------------

Task<> CapsuleService::destroy(Caller caller, model::SandboxId id) {
  const auto current = co_await get(caller.team, id);
  if (current.status == stopped) co_return;
  Began<Sandbox> operation;
  if (const auto found = destroying_.find(id); found != destroying_.end()) {
    operation = found->second;
  } else {
    std::vector<SandboxState> expected{pending, starting, running, pausing, paused, resuming, missing, error};
    auto change = begin_to(stopping, limits::kStoppingDeadline, caller.actor);
    auto begun = [&](db::Connection& connection) {
      auto row = transitions::begin(connection, id, expected, change, now());
      // Another destroy has begun, here or elsewhere, or was left to the reconciler. To begin it anew would
      // keep it from its end.
      if (!row) row = store::find_sandbox(connection, id);
      return row;
    };
    const auto row = co_await database_.write(begun);
    if (!row || row->status == stopped) co_return;
    // Another destroy may have begun while the database was writing.
    auto& slot = destroying_[id];
    if (!slot) slot = operations_.begin("destroy", id.text(), {id}, do_destroy(*row));
    operation = slot;
  }
  co_await operation->wait(kUntilItEnds);
}

Task<Sandbox> CapsuleService::do_destroy(Sandbox row) {
  const ScopeGuard ended([this, id = row.id] { destroying_.erase(id); });
  archive_.keep_last(row);
  std::exception_ptr failure;
  auto since = SteadyClock::now();
  try {
    co_await hosts_.at(row.host).agent.destroy(row.id.text());
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("destroy", "host", since);
  if (failure) {
    // The row stays `stopping`: the reconciler destroys the capsule as soon as the host can be reached.
    on_unsettled();
    if (!async::is_cancellation(failure)) {
      auto tell = [&](db::Connection& connection) {
        transitions::publish_failed_destroy(connection, row, now(), text_of(failure));
      };
      co_await database_.write(tell);
    }
    throw_agent_failure(failure);
  }
  auto change = change_to(stopped);
  change.host_ip = "";
  auto after_destroy = co_await finish(row, std::move(change));
  operations_.end_stage("destroy", "settle", since);
  // A concurrent destroy may have been quicker; either way it is gone.
  row.status = stopped;
  co_return after_destroy ? std::move(*after_destroy) : std::move(row);
}

Task<> CapsuleService::clean_up_create(Sandbox row, bool tells) {
  const bool gone = co_await destroy_on_agent(row);
  if (!gone || !tells) co_return;
  auto tell = [&](db::Connection& connection) { transitions::publish_cleanup(connection, row, now()); };
  co_await note(database_, tell, log::Level::warn, "nobody is told that a failed create was cleaned up",
                row.id.text());
}

Task<bool> CapsuleService::destroy_on_agent(Sandbox row) {
  std::exception_ptr failure;
  try {
    co_await hosts_.at(row.host).agent.destroy(row.id.text());
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure)) {
    log::warn("cleaning up after a failed create did not work; the reconciler tries again",
              {{"sandbox", row.id.text()}, {"error", text_of(failure)}});
    on_unsettled();
  }
  co_return !failure;
}

// --- the rest
// -------------------------------------------------------------------------------------------------------

Task<Sandbox> CapsuleService::get(model::TeamId team, model::SandboxId id) {
  auto find = [&team, &id](db::Connection& connection) { return store::find_sandbox(connection, team, id); };
  auto row = co_await database_.read_one(find);
  if (!row) throw_sandbox_not_found();
  co_return std::move(*row);
}

Task<CapsuleService::Running> CapsuleService::require_running(model::TeamId team, model::SandboxId id) {
  auto row = co_await get(team, id);
  if (row.status != running) throw_wrong_state(row, "running");
  auto envd = hosts_.at(row.host).agent.envd(row.id.text());
  co_return Running{std::move(row), std::move(envd)};
}

Task<> CapsuleService::ping(model::TeamId team, model::SandboxId id) {
  const auto row = co_await get(team, id);
  if (row.status != running) throw_wrong_state(row, "running");
  std::exception_ptr failure;
  try {
    co_await hosts_.at(row.host).agent.ping(row.id.text());
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    on_unsettled();
    throw_agent_failure(failure);
  }
  co_await write_activity(id);
}

Task<api::agent::MetricsResponse> CapsuleService::metrics(model::TeamId team, model::SandboxId id,
                                                          std::string range) {
  const auto row = co_await get(team, id);
  api::agent::MetricsResponse told;
  std::exception_ptr failure;
  if (row.status == running || row.status == paused) {
    api::agent::MetricsRequest request;
    request.sandbox_id = row.id.text();
    request.range = range;
    try {
      told = co_await hosts_.at(row.host).agent.metrics(std::move(request));
    } catch (...) {
      failure = std::current_exception();
    }
    if (row.status == running && failure) throw_agent_failure(failure);
    // Of a paused one an agent that was started anew knows nothing.
    if (!failure && (row.status == running || !told.points.empty())) co_return told;
  }
  auto kept = co_await archive_.find(id, std::move(range));
  if (kept) {
    told.points = std::move(*kept);
    co_return told;
  }
  if (failure) throw_agent_failure(failure);
  if (row.status == paused) co_return told;
  throw_error(ErrorCode::not_found, "no metrics: sandbox is not running (status: {})", to_string(row.status));
}

void CapsuleService::note_activity(const model::SandboxId& id) {
  operations_.scope().spawn(write_activity(id));
}

Task<> CapsuleService::write_activity(model::SandboxId id) {
  const auto at = now();
  auto write = [&id, at](db::Connection& connection) { store::set_sandbox_active(connection, id, at); };
  // The host knows it all the same, and what was done for the capsule is done.
  co_await note(database_, write, log::Level::debug, "the use of a capsule was not noted", id.text());
}

Task<> CapsuleService::settle_now(Sandbox row, std::string why) {
  std::exception_ptr failure;
  try {
    const auto answer = co_await hosts_.at(row.host).agent.list();
    const api::agent::SandboxInfo* fact = nullptr;
    const auto id = row.id.text();
    for (const auto& one : answer.sandboxes)
      if (one.sandbox_id == id) fact = &one;
    // The grace of a young transient row protects other people's operations; this one was ours.
    auto aged = row;
    aged.last_updated = aged.attended_at = UnixTime{};
    auto settled = settle(aged, fact, now());
    if (settled.what == Settle::change) co_await finish(row, std::move(settled.change), Told{why, false});
    if (settled.what == Settle::leave) on_unsettled();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) on_unsettled();
}

Task<Sandbox> CapsuleService::begin_change(model::TeamId team, model::SandboxId id,
                                           std::vector<SandboxState> expected, Change change,
                                           std::string_view wanted) {
  auto begun = [&](db::Connection& connection) {
    const auto check = [&](const Sandbox& before) {
      if (before.team != team) throw_sandbox_not_found();
      // What is paused or has failed is not counted, and others may have taken its place.
      if (store::is_reserved(change.to) && !store::is_reserved(before.status))
        quotas_.admit(connection, team, {1, before.vcpus, before.memory_mb});
    };
    return transitions::begin(connection, id, expected, change, now(), check);
  };
  auto row = co_await database_.write(begun);
  if (row) co_return std::move(*row);
  const auto latest = co_await get(team, id);
  throw_wrong_state(latest, wanted);
}

Task<std::optional<Sandbox>> CapsuleService::finish(Sandbox row, Change change, Told told) {
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    return transitions::finish(connection, row, change, at, told);
  };
  co_return co_await database_.write(write);
}

}  // namespace wrenn::cp::service
