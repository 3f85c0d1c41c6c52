#include "cp/service/templates.h"

#include "core/base/error.h"
#include "core/json/writer.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/failures.h"
#include "cp/service/snapshot_events.h"

namespace wrenn::cp::service {

const store::Template* choose_template(const std::vector<store::Template>& usable,
                                       std::string_view name) noexcept {
  const store::Template* named = nullptr;
  for (const auto& one : usable)
    if (!name.empty() && one.name == name && (named == nullptr || named->team == model::kPlatformTeam))
      named = &one;
  if (named != nullptr) return named;
  if (!name.empty() && name != kDefaultAlias) return nullptr;
  const store::Template* lowest = nullptr;
  for (const auto& one : usable) {
    if (one.team != model::kPlatformTeam || one.type != "base") continue;
    if (one.name == kDefaultTemplate) return &one;
    if (lowest == nullptr || one.id < lowest->id) lowest = &one;
  }
  return lowest;
}

Task<std::vector<store::Template>> Templates::read(model::TeamId team) {
  auto query = [&team](db::Connection& connection) { return store::usable_templates(connection, team); };
  co_return co_await database_.read(query);
}

Task<std::vector<store::Template>> Templates::usable(model::TeamId team) {
  auto templates = co_await read(team);
  if (!templates.empty()) co_return templates;
  co_await try_sync();
  co_return co_await read(team);
}

Task<std::vector<store::Template>> Templates::all() {
  auto query = [](db::Connection& connection) { return store::all_templates(connection); };
  co_return co_await database_.read(query);
}

Task<store::Template> Templates::resolve(model::TeamId team, std::string name) {
  auto templates = co_await read(team);
  if (const auto* chosen = choose_template(templates, name)) co_return *chosen;

  // Perhaps it was built a moment ago.
  const auto failure = co_await try_sync();
  templates = co_await read(team);
  if (const auto* chosen = choose_template(templates, name)) co_return *chosen;
  if (templates.empty()) {
    if (failure) throw_create_failure(failure);
    throw_error(
        ErrorCode::not_found,
        "template not found: no template is installed on the host; build one with rootfs/build.sh debian");
  }
  throw_error(ErrorCode::not_found, "template not found: {}; GET /v1/snapshots lists what there is",
              name.empty() ? kDefaultTemplate : std::string_view(name));
}

Task<std::exception_ptr> Templates::try_sync() {
  const auto at = SteadyClock::now();
  if (last_sync_ != SteadyTime{} && at - last_sync_ < limits::kTemplateSyncFloor) co_return nullptr;
  std::exception_ptr failure;
  try {
    co_await sync();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
  co_return failure;
}

// Absent, with a word in the log, for what cannot be a template.
static std::optional<store::HostedTemplate> hosted(const api::agent::TemplateInfo& told, UnixTime at) {
  const auto id = model::TemplateId::parse(told.template_id);
  const auto digits = parse_base36(told.team_id);
  const auto team = digits ? model::TeamId(*digits) : model::TeamId::parse(told.team_id);
  if (!id || !team || !is_safe_name(told.name)) {
    log::warn("the agent names a template that cannot be one",
              {{"template", told.name}, {"id", told.template_id}});
    return std::nullopt;
  }
  // Base templates of teams stand in the database already; a host cannot invent them.
  if (!told.snapshot && *team != model::kPlatformTeam) return std::nullopt;
  store::HostedTemplate one;
  one.row.id = *id;
  one.row.team = *team;
  one.row.name = told.name;
  one.row.type = told.snapshot ? store::kSnapshot : store::kBase;
  one.row.vcpus = told.snapshot ? told.vcpus : 0;
  one.row.memory_mb = told.snapshot ? told.memory_mb : 0;
  one.row.size_bytes = told.size_bytes;
  one.row.default_user = told.default_user.empty() ? "root" : told.default_user;
  one.row.created_at = at;
  one.generation = told.generation;
  return one;
}

Task<> Templates::sync() {
  auto& local = hosts_.local();
  const auto asked = SteadyClock::now();
  const auto asked_at = now();
  const auto facts = co_await local.agent.host_info();
  const auto at = now();

  std::vector<store::HostedTemplate> templates;
  for (const auto& told : facts.templates)
    if (auto one = hosted(told, at)) templates.push_back(std::move(*one));

  auto& host = local.host;
  host.arch = facts.arch;
  host.cpu_cores = facts.cpu_cores;
  host.memory_mb = facts.memory_mb;
  host.disk_gb = facts.disk_gb;
  host.metadata.clear();
  json::Writer writer(host.metadata);
  writer.begin_object();
  writer.member("acceleration", facts.acceleration);
  writer.member("vmm_version", facts.vmm_version);
  writer.member("kernel_version", facts.kernel_version);
  writer.member("agent_version", facts.agent_version);
  writer.end_object();

  const auto row = host;  // the write runs on another thread
  auto write = [&](db::Connection& connection) {
    store::set_host_facts(connection, row, at);
    auto followed = store::follow_host_templates(connection, row.id, templates, asked_at, at);
    for (const auto& made : followed.made)
      publish_snapshot(connection, model::event::kSnapshotCreate, made.by, made, {"", true});
    for (const auto& abandoned : followed.abandoned) publish_abandoned_snapshot(connection, abandoned);
    return followed;
  };
  auto followed = co_await database_.write(write);
  last_sync_ = asked;  // not before: who skips his own sync relies on what this one wrote
  co_await tidy(local, std::move(followed));
}

Task<> Templates::tidy(HostAgent& host, store::Followed followed) {
  for (const auto& [row, generation] : followed.adopted)
    log::warn("a snapshot that only its host knew is a template again",
              {{"template", row.name}, {"id", row.id.text()}, {"team", row.team.text()}});
  for (const auto& row : followed.made)
    log::info("a snapshot is complete, as its host says",
              {{"template", row.name}, {"id", row.id.text()}, {"team", row.team.text()}});
  for (const auto& row : followed.abandoned)
    log::warn("a snapshot was begun and never finished; its name is free again",
              {{"template", row.name}, {"id", row.id.text()}, {"team", row.team.text()}});
  for (const auto& [row, generation] : followed.refused)
    if (refused_.insert(row.id).second)
      log::warn("a host has a template that is nobody's, or whose name is taken; it stays there, unused",
                {{"template", row.name}, {"id", row.id.text()}, {"team", row.team.text()}});
  for (const auto& [row, generation] : followed.deleted) {
    std::exception_ptr failure;
    try {
      api::agent::DeleteTemplateRequest request{row.id.digits(), row.team.digits()};
      co_await host.agent.delete_template(std::move(request));
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure && async::is_cancellation(failure)) std::rethrow_exception(failure);
    const std::string outcome = failure ? describe(failure) : "deleted";
    log::info("a host still had the files of a deleted template",
              {{"template", row.name}, {"id", row.id.text()}, {"outcome", outcome}});
  }
}

}  // namespace wrenn::cp::service
