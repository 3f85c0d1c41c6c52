// Registry: what is made of the state of a sandbox: children, checkpoints, templates.
#include <algorithm>

#include "agent/limits.h"
#include "agent/sandbox/create_request.h"
#include "agent/sandbox/registry.h"
#include "core/base/clock.h"
#include "core/base/crash_point.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

namespace {

void check_checkpoint_id(const std::string& id) {
  const bool good = !id.empty() && id.size() <= limits::kCheckpointName &&
                    std::all_of(id.begin(), id.end(), [](unsigned char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '-' || c == '_';
                    });
  if (!good)
    throw_error(ErrorCode::invalid_argument, "field checkpointId: letters, digits, '-' and '_', at most {}",
                limits::kCheckpointName);
}

model::TeamId parse_team_digits(const std::string& text) {
  if (const auto id = model::TeamId::parse(text)) return *id;
  if (const auto bytes = parse_base36(text)) return model::TeamId(*bytes);
  throw_error(ErrorCode::invalid_argument, "field templateTeamId: not a team id");
}

model::TemplateId parse_template(const std::string& text) {
  if (const auto id = model::TemplateId::parse(text)) return *id;
  throw_error(ErrorCode::invalid_argument, "field templateId: must be 25 base36 digits");
}

// A base of its own for what is gone on from often: memory and pages as one.
void merge(Host& host, Frozen& frozen) {
  if (!frozen.draft.pages().valid()) return;
  frozen.manifest.memory_base =
      snapshot::merge_pages(*frozen.base, frozen.draft.pages(), frozen.draft.pages_checksum(),
                            host.layers.root(), frozen.manifest.memory_mib);
  frozen.draft.drop_pages();
}

api::agent::CheckpointInfo describe_checkpoint(const std::string& root, const std::string& id,
                                               const snapshot::Manifest& manifest) {
  api::agent::CheckpointInfo info;
  info.checkpoint_id = id;
  info.name = manifest.name;
  info.created_at_us = manifest.created_at_us;
  info.size_bytes = static_cast<std::int64_t>(sys::allocated_bytes(root + "/" + id));
  return info;
}

}  // namespace

Task<Frozen> Registry::freeze(const std::string& sandbox_id, std::string root, std::string id) {
  const auto driver = get(sandbox_id);
  Driver::Options options;
  const auto order = options.freeze = std::make_shared<Driver::FreezeOrder>();
  order->root = std::move(root);
  order->id = std::move(id);
  co_await driver->ask(Command::freeze, std::move(options));
  co_return std::move(*order->frozen);
}

// --- fork

static Task<> wait_created(std::shared_ptr<Driver> driver, std::exception_ptr& first) {
  try {
    co_await driver->created();
  } catch (...) {
    if (!first) first = std::current_exception();
  }
}

// Starts all and waits for all. When one fails, or the caller is cancelled, none is left.
Task<> Registry::run_children(const std::vector<std::shared_ptr<Driver>>& children) {
  std::exception_ptr first;
  try {
    async::Scope waiting(host_.executor, "fork");
    for (const auto& child : children) {
      crash_point("fork.child");
      add(child);
      waiting.spawn(wait_created(child, first));
    }
    co_await waiting.join();
    if (!first)
      for (const auto& child : children) child->let_in();
  } catch (...) {
    first = std::current_exception();
  }
  if (!first) co_return;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  for (const auto& child : children) {
    try {
      co_await destroy(child->id());
    } catch (const Error& error) {
      log::error("cannot undo a fork; destroy the child",
                 {{"sandbox_id", child->id()}, {"error", describe(error)}});
    }
  }
  std::rethrow_exception(first);
}

Task<std::vector<api::agent::SandboxInfo>> Registry::fork(api::agent::ForkSandboxRequest request) {
  if (request.children.empty() || request.children.size() > limits::kForkChildren)
    throw_error(ErrorCode::invalid_argument, "field children: must be 1 to {}", limits::kForkChildren);
  std::size_t existing = 0;
  for (const auto& child : request.children) {
    check_sandbox_id(child.sandbox_id);
    if (child.timeout_sec) check_timeout(*child.timeout_sec);
    if (find(child.sandbox_id)) ++existing;
  }
  std::vector<api::agent::SandboxInfo> infos;
  if (existing == request.children.size()) {  // the call is repeated
    for (const auto& child : request.children) {
      const auto driver = get(child.sandbox_id);
      Driver::Options options;
      co_await driver->ask(Command::create, std::move(options));
      infos.push_back(driver->info());
    }
    co_return infos;
  }
  if (existing > 0)
    throw_error(ErrorCode::already_exists,
                "some of the children exist already, under other parents or as rests");

  const auto parent = get(request.sandbox_id);
  Frozen frozen = co_await freeze(request.sandbox_id, host_.forks(), random_hex(8));
  auto branch = make_children(request, *parent, frozen, infos);
  co_await use_up(host_, frozen.draft, std::move(branch));
  co_return infos;
}

Task<> Registry::make_children(const api::agent::ForkSandboxRequest& request, const Driver& parent,
                               Frozen& frozen, std::vector<api::agent::SandboxInfo>& infos) {
  const auto origin = make_origin(host_);
  auto prepare = [&host = host_, &frozen, children = request.children.size()] {
    const bool share = frozen.draft.pages().valid() &&
                       sys::allocated_bytes(frozen.draft.pages()) * children > limits::kForkMergeBytes;
    crash_point("fork.prepare.begin");
    if (share) merge(host, frozen);
    crash_point("fork.prepare.end");
    return frozen.draft.detach(frozen.manifest);
  };
  {
    const Layers::Pause pause = host_.layers.pause();
    origin->snapshot = co_await async::offload(host_.sys, std::move(prepare));
    frozen.pin.add(origin->snapshot.manifest.memory_base);
  }
  origin->base = frozen.base;
  if (frozen.base->path() != origin->snapshot.manifest.memory_base)
    origin->base =
        co_await host_.bases.get(origin->snapshot.manifest.memory_base, origin->snapshot.manifest.memory_mib);
  origin->pin = std::move(frozen.pin);
  if (closed_) throw_error(ErrorCode::unavailable, "the agent is ending");

  std::vector<std::shared_ptr<Driver>> children;
  for (const auto& child : request.children) {
    const Record record = parent.record();
    Record fresh;
    fresh.sandbox_id = child.sandbox_id;
    fresh.created_at_us = now().us;
    fresh.team_id = record.team_id;
    fresh.template_id = record.template_id;
    fresh.template_team_id = record.template_team_id;
    fresh.disk_size_mb = record.disk_size_mb;
    fresh.timeout_sec = child.timeout_sec.value_or(record.timeout_sec);
    fresh.default_user = record.default_user;
    fresh.default_env = record.default_env;
    fresh.metadata = child.metadata;
    children.push_back(Driver::create(host_, std::move(fresh), templates::TemplateImage(), origin));
    children.back()->keep_out();
  }
  co_await run_children(children);
  for (const auto& child : children) infos.push_back(child->info());
}

// --- checkpoints

Task<api::agent::CheckpointInfo> Registry::create_checkpoint(api::agent::CheckpointRequest request) {
  check_checkpoint_id(request.checkpoint_id);
  const std::string root = host_.checkpoints(get(request.sandbox_id)->id());
  Frozen frozen = co_await freeze(request.sandbox_id, root, request.checkpoint_id);
  frozen.manifest.name = request.name;
  api::agent::CheckpointInfo info;
  auto commit = [&frozen, &info, root, id = request.checkpoint_id, &key = host_.seal_key] {
    crash_point("checkpoint.commit.begin");
    frozen.draft.commit(frozen.manifest, key);
    crash_point("checkpoint.commit.end");
    const auto manifest = snapshot::load_manifest(root, id, key);
    if (!manifest) throw_error(ErrorCode::aborted, "the checkpoint was removed while it was made");
    info = describe_checkpoint(root, id, *manifest);
  };
  auto committed = async::offload(host_.sys, std::move(commit));
  co_await use_up(host_, frozen.draft, std::move(committed));
  if (!find(request.sandbox_id)) {  // destroyed meanwhile: its directory was made anew by the commit
    auto remove = [root] { sys::remove_tree(root); };
    co_await async::offload(host_.sys, std::move(remove));
    throw_error(ErrorCode::aborted, "the sandbox was destroyed meanwhile");
  }
  co_return info;
}

Task<std::vector<api::agent::CheckpointInfo>> Registry::list_checkpoints(std::string sandbox_id) {
  const std::string root = host_.checkpoints(get(sandbox_id)->id());
  auto look = [root, &key = host_.seal_key] {
    std::vector<api::agent::CheckpointInfo> all;
    for (const std::string& id : snapshot::list(root)) {
      try {
        // Damage in its other files is told to whoever goes back to it.
        if (const auto manifest = snapshot::load_manifest(root, id, key))
          all.push_back(describe_checkpoint(root, id, *manifest));
      } catch (const Error& error) {
        log::warn("a checkpoint is left out", {{"directory", root + "/" + id}, {"error", error.what()}});
      }
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.created_at_us < b.created_at_us; });
    return all;
  };
  co_return co_await async::offload(host_.sys, std::move(look));
}

Task<> Registry::delete_checkpoint(api::agent::CheckpointRequest request) {
  check_checkpoint_id(request.checkpoint_id);
  const std::string root = host_.checkpoints(get(request.sandbox_id)->id());
  auto remove = [root, id = request.checkpoint_id] { snapshot::remove(root, id); };
  co_await async::offload(host_.sys, std::move(remove));
  host_.layers.something_went();
}

Task<api::agent::SandboxInfo> Registry::rollback(api::agent::CheckpointRequest request) {
  check_checkpoint_id(request.checkpoint_id);
  const auto driver = get(request.sandbox_id);
  Driver::Options options;
  options.checkpoint_id = request.checkpoint_id;
  co_await driver->ask(Command::rollback, std::move(options));
  host_.layers.something_went();
  co_return driver->info();
}

// --- templates

Task<api::agent::TemplateInfo> Registry::create_snapshot(api::agent::CreateSnapshotRequest request) {
  templates::TemplateImage image;
  image.team = parse_team_digits(request.template_team_id);
  image.id = parse_template(request.template_id);
  image.name = request.template_name;
  image.directory = templates::template_directory(host_.directory, image.team, image.id);
  auto check = [&image] {
    if (sys::exists(image.directory + "/rootfs.ext4"))
      throw_error(ErrorCode::already_exists, "template {} is a base template: it is not made from sandboxes",
                  image.id.digits());
  };
  co_await async::offload(host_.sys, std::move(check));
  Frozen frozen = co_await freeze(request.sandbox_id, image.directory, templates::kSnapshotDirectory);
  image.snapshot = true;
  image.generation = random_hex(8);
  image.default_user = frozen.manifest.default_user;
  image.vcpus = frozen.manifest.vcpus;
  image.memory_mb = frozen.manifest.memory_mib;
  std::uint64_t bytes = 0;
  auto commit = [&host = host_, &frozen, &image, &bytes] {
    crash_point("template.commit.begin");
    // Memory that all who start from the template share.
    merge(host, frozen);
    crash_point("template.commit.merged");
    frozen.manifest.name = image.name;
    frozen.draft.commit(frozen.manifest, host.seal_key);
    crash_point("template.commit.snapshot_there");
    templates::write_snapshot_template(image.directory, image);
    crash_point("template.commit.end");
    bytes = sys::allocated_bytes(image.directory);
    if (!frozen.manifest.memory_base.empty()) bytes += sys::allocated_bytes(frozen.manifest.memory_base);
  };
  const Layers::Pause pause = host_.layers.pause();
  auto committed = async::offload(host_.sys, std::move(commit));
  co_await use_up(host_, frozen.draft, std::move(committed));
  host_.layers.something_went();  // of a generation that this one replaces
  api::agent::TemplateInfo info;
  info.template_id = image.id.digits();
  info.team_id = image.team.digits();
  info.name = image.name;
  info.generation = image.generation;
  info.default_user = image.default_user;
  info.size_bytes = static_cast<std::int64_t>(bytes);
  info.snapshot = true;
  info.vcpus = image.vcpus;
  info.memory_mb = image.memory_mb;
  co_return info;
}

Task<> Registry::delete_template(api::agent::DeleteTemplateRequest request) {
  const model::TeamId team = parse_team_digits(request.template_team_id);
  const model::TemplateId id = parse_template(request.template_id);
  auto remove = [directory = templates::template_directory(host_.directory, team, id), id] {
    if (sys::exists(directory + "/rootfs.ext4"))
      throw_error(ErrorCode::failed_precondition,
                  "template {} is a base template; remove its directory on the host when nothing uses it",
                  id.digits());
    crash_point("template.delete.begin");
    snapshot::remove(directory, templates::kSnapshotDirectory);
    crash_point("template.delete.snapshot_gone");
    sys::remove_tree(directory);
    crash_point("template.delete.end");
  };
  co_await async::offload(host_.sys, std::move(remove));
  host_.layers.something_went();
}

}  // namespace wrenn::agent::sandbox
