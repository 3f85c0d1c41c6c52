#include "cp/service/snapshots.h"

#include "api/errors.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/changes.h"
#include "cp/service/failures.h"
#include "cp/service/snapshot_events.h"

namespace wrenn::cp::service {

using store::Sandbox;
using store::Template;
using enum SandboxState;

SnapshotName judge_snapshot_name(const std::vector<Template>& same_name, const model::TeamId& team,
                                 bool overwrite, UnixTime at) noexcept {
  const Template* own = nullptr;
  for (const auto& one : same_name) {
    if (one.team == model::kPlatformTeam && (team != one.team || one.type == store::kBase))
      return SnapshotName::reserved;
    own = &one;
  }
  if (own == nullptr) return SnapshotName::fresh;
  if (own->making_until) return *own->making_until < at ? SnapshotName::abandoned : SnapshotName::busy;
  return overwrite && own->type == store::kSnapshot ? SnapshotName::replace : SnapshotName::taken;
}

[[noreturn]] static void throw_conflict(std::string_view code, std::string message) {
  throw api::PublicError(ErrorCode::already_exists, 409, std::string(code), std::move(message));
}

static void throw_unless_free(SnapshotName what, const std::string& name) {
  switch (what) {
    case SnapshotName::reserved:
      throw_conflict("name_reserved", fmt::format("{} is the name of a system template", name));
    case SnapshotName::taken:
      throw_conflict(
          "template_name_taken",
          fmt::format("the team has a template named {} already; ?overwrite=true replaces a snapshot", name));
    case SnapshotName::busy:
      throw_conflict("template_name_taken", fmt::format("a template named {} is being made", name));
    case SnapshotName::fresh:
    case SnapshotName::abandoned:
    case SnapshotName::replace:
      return;
  }
}

[[noreturn]] static void throw_changing(const std::string& name) {
  throw_conflict("conflict", fmt::format("{} is being overwritten or deleted", name));
}

// --- create
// ---------------------------------------------------------------------------------------------------------

Task<Template> Snapshots::create(Caller caller, SnapshotInput input) {
  auto since = SteadyClock::now();
  auto capsule = co_await capsules_.get(caller.team, input.sandbox);
  if (capsule.status != running && capsule.status != paused) throw_wrong_state(capsule, "running or paused");
  hosts_.at(capsule.host);
  auto reserved = co_await reserve(caller.actor, capsule, input);
  throw_unless_free(reserved.what, reserved.row.name);
  if (!changing_.insert(reserved.row.id).second) throw_changing(reserved.row.name);
  operations_.end_stage("snapshot", "admit", since);
  const auto id = capsule.id.text();
  auto work = do_create(std::move(caller), std::move(capsule), std::move(reserved), input.then_destroy);
  const auto operation = operations_.begin("snapshot", id, {}, std::move(work));
  co_return co_await end_of(operation);
}

Task<Snapshots::Reserved> Snapshots::reserve(model::Actor by, Sandbox capsule, SnapshotInput input) {
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    const auto same_name = store::templates_named(connection, capsule.team, input.name);
    Reserved reserved{judge_snapshot_name(same_name, capsule.team, input.overwrite, at), {}};
    auto& row = reserved.row;
    row.name = input.name;
    switch (reserved.what) {
      case SnapshotName::replace:
        row = same_name.front();
        break;
      case SnapshotName::abandoned:
        store::forget_template(connection, same_name.front(), at);
        publish_abandoned_snapshot(connection, same_name.front());
        [[fallthrough]];
      case SnapshotName::fresh:
        row.id = model::TemplateId::random();
        row.team = capsule.team;
        row.type = store::kSnapshot;
        row.default_user = "root";
        row.metadata = capsule.metadata;
        row.by = by;
        row.created_at = at;
        row.making_until = after(at, limits::kSnapshotDeadline);
        store::begin_snapshot(connection, row);
        break;
      default:
        break;
    }
    return reserved;
  };
  co_return co_await database_.write(write);
}

Task<Template> Snapshots::do_create(Caller by, Sandbox capsule, Reserved reserved, bool then_destroy) {
  auto row = std::move(reserved.row);
  const bool fresh = reserved.what != SnapshotName::replace;
  const ScopeGuard changed([this, id = row.id] { changing_.erase(id); });
  std::exception_ptr failure;
  api::agent::TemplateInfo made;
  auto since = SteadyClock::now();
  try {
    api::agent::CreateSnapshotRequest request;
    request.sandbox_id = capsule.id.text();
    request.template_id = row.id.digits();
    request.template_team_id = row.team.digits();
    request.template_name = row.name;
    made = co_await hosts_.at(capsule.host).agent.create_snapshot(std::move(request));
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("snapshot", "host", since);
  if (failure) {
    // When the control plane itself ends, the row stays as it is: the host's word settles it after the next
    // start.
    if (!async::is_cancellation(failure))
      co_await undo_create(by.actor, row, capsule.host, fresh, describe(failure));
    throw_agent_failure(failure);
  }

  row.vcpus = made.vcpus > 0 ? made.vcpus : capsule.vcpus;
  row.memory_mb = made.memory_mb > 0 ? made.memory_mb : capsule.memory_mb;
  row.size_bytes = made.size_bytes;
  if (!made.default_user.empty()) row.default_user = made.default_user;  // as in the capsule
  row.metadata = capsule.metadata;
  row.created_at = now();
  row.making_until.reset();
  auto write = [&](db::Connection& connection) {
    // Templates::sync may have learned it sooner, and told of it.
    const bool told = fresh && !store::is_being_made(connection, row.id);
    const bool found = store::finish_snapshot(connection, row, capsule.host, made.generation);
    if (found && !told) publish_snapshot(connection, model::event::kSnapshotCreate, by.actor, row);
    return found;
  };
  const bool finished = co_await database_.write(write);
  operations_.end_stage("snapshot", "settle", since);
  if (!finished) {
    // Deleted by another control plane, or taken for abandoned.
    co_await clean_up(capsule.host, row);
    throw_conflict("conflict", "the template was deleted while it was being made");
  }
  // Other hosts have what it was before.
  for (const auto& host : row.hosts)
    if (host != capsule.host) operations_.scope().spawn(clean_up(host, row));
  row.hosts = {capsule.host};
  if (then_destroy) co_await destroy_source(std::move(by), capsule.id);
  co_return row;
}

Task<> Snapshots::destroy_source(Caller by, model::SandboxId id) {
  std::exception_ptr failure;
  try {
    co_await capsules_.destroy(std::move(by), id);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure))
    log::warn("a capsule that was made a template could not be destroyed yet",
              {{"sandbox", id.text()}, {"error", describe(failure)}});
}

Task<> Snapshots::undo_create(model::Actor by, Template row, model::HostId host, bool fresh,
                              std::string why) {
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    // What was taken for abandoned meanwhile has been told of; what the host has said to have stays.
    if (fresh && !store::is_being_made(connection, row.id)) return false;
    if (fresh) store::forget_template(connection, row, at);
    publish_snapshot(connection, model::event::kSnapshotCreate, by, row, {why});
    return true;
  };
  const bool undone = co_await database_.write(write);
  if (fresh && undone) operations_.scope().spawn(clean_up(host, row));
  // The answer may have been lost on its way back: then the new generation counts, and its sizes.
  if (!fresh) operations_.scope().spawn(look_again());
  capsules_.on_unsettled();
}

// --- remove
// ---------------------------------------------------------------------------------------------------------

Task<> Snapshots::remove(Caller caller, std::string name) {
  const auto team = caller.team;
  auto find = [&](db::Connection& connection) { return store::templates_named(connection, team, name); };
  auto same_name = co_await database_.read(find);
  const Template* own = nullptr;
  for (const auto& one : same_name)
    if (one.team == team) own = &one;
  const bool is_system = own != nullptr && team == model::kPlatformTeam &&
                         own->id <= model::TemplateId::from_number(model::kReservedTemplateIds);
  if (is_system || (own == nullptr && !same_name.empty()))
    throw_error(ErrorCode::permission_denied, "{} is a system template and cannot be deleted", name);
  if (own == nullptr) throw_error(ErrorCode::not_found, "template not found: {}", name);
  if (own->making_until && now() < *own->making_until)
    throw_conflict("conflict", fmt::format("{} is being made", name));
  if (!changing_.insert(own->id).second) throw_changing(name);
  const auto operation =
      operations_.begin("delete template", own->id.text(), {}, do_remove(caller.actor, *own));
  co_await end_of(operation);
}

Task<Done> Snapshots::do_remove(model::Actor by, Template row) {
  const ScopeGuard changed([this, id = row.id] { changing_.erase(id); });
  std::exception_ptr failure;
  auto since = SteadyClock::now();
  try {
    for (const auto& host : row.hosts) co_await delete_on(host, row);
  } catch (...) {
    failure = std::current_exception();
  }
  operations_.end_stage("delete template", "host", since);
  if (failure) {
    if (!async::is_cancellation(failure)) {
      const SnapshotEnd end{describe(failure)};
      auto tell = [&](db::Connection& connection) {
        publish_snapshot(connection, model::event::kSnapshotDelete, by, row, end);
      };
      co_await database_.write(tell);
    }
    throw_agent_failure(failure);
  }
  const auto at = now();
  auto write = [&](db::Connection& connection) {
    store::forget_template(connection, row, at);
    publish_snapshot(connection, model::event::kSnapshotDelete, by, row);
  };
  co_await database_.write(write);
  operations_.end_stage("delete template", "settle", since);
  co_return Done{};
}

// --- parts
// ----------------------------------------------------------------------------------------------------------

Task<> Snapshots::delete_on(model::HostId host, const Template& row) {
  api::agent::DeleteTemplateRequest request;
  request.template_id = row.id.digits();
  request.template_team_id = row.team.digits();
  co_await hosts_.at(host).agent.delete_template(std::move(request));
}

Task<> Snapshots::clean_up(model::HostId host, Template row) {
  std::exception_ptr failure;
  try {
    co_await delete_on(host, row);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure))
    log::warn("the files of a template could not be deleted; they go when the host tells of them",
              {{"template", row.name}, {"id", row.id.text()}, {"error", describe(failure)}});
}

Task<> Snapshots::look_again() {
  std::exception_ptr failure;
  try {
    co_await templates_.sync();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !async::is_cancellation(failure))
    log::warn("the host does not tell its templates; it is asked again soon", {{"error", describe(failure)}});
}

}  // namespace wrenn::cp::service
