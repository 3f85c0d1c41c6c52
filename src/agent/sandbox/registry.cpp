#include "agent/sandbox/registry.h"

#include <algorithm>
#include <functional>
#include <set>

#include "agent/limits.h"
#include "agent/sandbox/create_request.h"
#include "core/async/timeout.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

Registry::Registry(Host& host)
    : host_(host), changes_(host.executor), goldens_(host), scope_(host.executor, "sandbox drivers") {
  host_.changes = &changes_;
  host_.goldens = &goldens_;
}

void Registry::add(std::shared_ptr<Driver> driver) {
  drivers_[driver->id()] = driver;
  scope_.spawn(drive(std::move(driver)));
}

Task<> Registry::drive(std::shared_ptr<Driver> driver) {
  std::exception_ptr error;
  try {
    co_await driver->run();
  } catch (...) {
    error = std::current_exception();
  }
  if (const auto at = drivers_.find(driver->id()); at != drivers_.end() && at->second == driver)
    drivers_.erase(at);
  if (error) std::rethrow_exception(error);
}

// --- recovery

Task<> Registry::recover() {
  auto load = [&journal = host_.journal] { return journal.load(); };
  const std::vector<JournalEntry> entries = co_await async::offload(host_.sys, std::move(load));

  // Every slot that a record names is taken before anything is made.
  for (const JournalEntry& entry : entries) {
    if (!entry.record || !entry.record->slot || host_.slots.reserve(*entry.record->slot)) continue;
    log::error("two sandboxes name the same network slot",
               {{"sandbox_id", entry.place}, {"slot", *entry.record->slot}});
  }
  std::vector<Record> records;
  for (const JournalEntry& entry : entries) {
    if (entry.record) {
      records.push_back(*entry.record);
    } else if (!entry.damage.empty()) {
      // Not swept: the disk may be worth something to somebody. Its kernel objects go, with its claims.
      log::error("damaged journal record", {{"sandbox_id", entry.place}, {"error", entry.damage}});
      Record& record = records.emplace_back();
      record.sandbox_id = entry.place;
      record.state = SandboxState::error;
      record.reason = entry.damage;
    }
    // Else a directory without a record: nothing was made yet, or all is gone; swept below.
  }
  async::Scope workers(host_.executor, "recovery");
  for (int i = 0; i < limits::kRecoverParallel; ++i) workers.spawn(recover_in_turn(records));
  co_await workers.join();
  co_await sweep();
}

Task<> Registry::recover_in_turn(std::vector<Record>& records) {
  while (!records.empty()) {
    Record record = std::move(records.back());
    records.pop_back();
    co_await recover_one(std::move(record));
  }
}

Task<> Registry::recover_one(Record record) {
  const std::string id = record.sandbox_id;
  const std::string before(to_string(record.state));
  auto assembly = std::make_unique<Assembly>(host_, std::move(record));
  std::string failure;
  try {
    co_await assembly->recover();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = describe(error);
  }
  if (!failure.empty()) log::error("cannot recover a sandbox", {{"sandbox_id", id}, {"error", failure}});
  log::info("found a sandbox", {{"sandbox_id", id},
                                {"was", before},
                                {"is", assembly->gone() ? "gone" : to_string(assembly->record().state)},
                                {"reason", assembly->record().reason}});
  if (!assembly->gone()) add(Driver::recovered(host_, std::move(assembly)));
}

// What we claimed and no record names. Runs after recovery, so what was adopted is named by a record.
Task<> Registry::sweep() {
  std::map<std::string, bool> places;  // name → may have kernel objects
  std::set<std::string> known;         // sandboxes
  std::vector<int> slots;
  for (const auto& [id, driver] : drivers_) {
    places[driver->record().place_name()] = driver->has_record();
    known.insert(id);
  }
  for (const auto& [id, driver] : drivers_)
    if (const auto slot = driver->slot()) slots.push_back(*slot);

  auto work = [&host = host_, places = std::move(places), known = std::move(known),
               slots = std::move(slots)] {
    const auto attempt = [](std::string_view what, const std::string& name,
                            const std::function<void()>& action) {
      try {
        action();
      } catch (const std::exception& error) {
        log::error("cannot sweep", {{"what", what}, {"name", name}, {"error", describe(error)}});
      }
    };
    Mechanisms& mechanisms = host.mechanisms;
    const Mechanisms::Claimed claimed = mechanisms.claimed();
    for (const std::string& id : claimed.sandbox_ids) {
      const auto at = places.find(id);
      if (at != places.end() && at->second) continue;
      log::warn("removing what an earlier run left", {{"sandbox_id", id}});
      attempt("processes", id, [&] { mechanisms.kill_strays(id); });
      attempt("cgroup", id, [&] { mechanisms.destroy_group(id); });
      attempt("claim", id, [&] { mechanisms.unclaim_sandbox(id); });
    }
    std::vector<int> useless;
    for (const int slot : claimed.slots)
      if (std::find(slots.begin(), slots.end(), slot) == slots.end()) useless.push_back(slot);
    attempt("snapshot drafts", host.snapshots(), [&] { snapshot::sweep_drafts(host.snapshots()); });
    attempt("forks", host.forks(), [&] { sys::remove_tree(host.forks()); });
    for (const std::string& id : snapshot::list_directories(host.directory + "/checkpoints")) {
      attempt("checkpoint drafts", id, [&] { snapshot::sweep_drafts(host.checkpoints(id)); });
      if (!known.contains(id)) attempt("checkpoints", id, [&] { sys::remove_tree(host.checkpoints(id)); });
    }
    for (const std::string& path : templates::template_directories(host.directory))
      attempt("template drafts", path, [&] { snapshot::sweep_drafts(path); });
    for (const JournalEntry& entry : host.journal.load())
      if (!entry.record && entry.damage.empty() && !places.contains(entry.place))
        attempt("directory", entry.place, [&] { host.journal.remove(entry.place); });
    // A snapshot of a sandbox that has no record belongs to a destroy that was cut short.
    for (const std::string& id : snapshot::list(host.snapshots()))
      if (!known.contains(id)) attempt("snapshot", id, [&] { snapshot::remove(host.snapshots(), id); });
    return useless;
  };
  // The kernel takes its time with networks: nobody waits for those to go.
  for (const int slot : co_await async::offload(host_.sys, std::move(work))) {
    if (!host_.slots.reserve(slot)) continue;  // still being freed by what was recovered
    log::warn("removing a network slot that an earlier run left", {{"slot", slot}});
    host_.slots.give_back(slot);
  }
  try {
    co_await goldens_.sweep();
    co_await host_.layers.collect();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::error("cannot look for what nothing needs any more", {{"error", describe(error)}});
  }
}

// --- commands

std::shared_ptr<Driver> Registry::find(const std::string& sandbox_id) const {
  const auto at = drivers_.find(sandbox_id);
  return at == drivers_.end() ? nullptr : at->second;
}

std::shared_ptr<Driver> Registry::get(const std::string& sandbox_id) const {
  auto driver = find(sandbox_id);
  if (!driver) throw_error(ErrorCode::not_found, "sandbox {} does not exist on this host", sandbox_id);
  return driver;
}

Task<api::agent::SandboxInfo> Registry::create(const api::agent::CreateSandboxRequest& request) {
  CreatePlan plan = plan_create(request);
  const std::string id = plan.record.sandbox_id;
  if (!find(id)) {
    auto look = [&mechanisms = host_.mechanisms, team = plan.template_team, id = plan.template_id] {
      return mechanisms.find_template(team, id);
    };
    templates::TemplateImage image = co_await async::offload(host_.sys, std::move(look));
    if (closed_) throw_error(ErrorCode::unavailable, "the agent is ending");
    if (!find(id)) {  // still
      auto driver = Driver::create(host_, std::move(plan.record), std::move(image));
      add(driver);
      co_await driver->created();
      co_return driver->info();
    }
  }
  const auto driver = get(id);
  Driver::Options options;
  co_await driver->ask(Command::create, std::move(options));
  co_return driver->info();
}

Task<> Registry::destroy(std::string sandbox_id) {
  const auto driver = find(sandbox_id);
  if (!driver) co_return;
  Driver::Options options;
  try {
    co_await driver->ask(Command::destroy, std::move(options));
  } catch (const Error&) {
    if (!driver->gone()) throw;
  }
}

Task<api::agent::SandboxInfo> Registry::pause(std::string sandbox_id, std::string reason) {
  const auto driver = get(sandbox_id);
  Driver::Options options;
  options.reason = std::move(reason);
  co_await driver->ask(Command::pause, std::move(options));
  co_return driver->info();
}

Task<api::agent::SandboxInfo> Registry::resume(std::string sandbox_id,
                                               std::optional<std::int64_t> timeout_sec) {
  if (timeout_sec) check_timeout(*timeout_sec);
  const auto driver = get(sandbox_id);
  Driver::Options options;
  options.timeout_sec = timeout_sec;
  co_await driver->ask(Command::resume, std::move(options));
  co_return driver->info();
}

std::vector<api::agent::SandboxInfo> Registry::list() const {
  std::vector<api::agent::SandboxInfo> all;
  all.reserve(drivers_.size());
  for (const auto& [id, driver] : drivers_) all.push_back(driver->info());
  return all;
}

std::map<SandboxState, int> Registry::count() const {
  std::map<SandboxState, int> counts;
  for (const auto& [id, driver] : drivers_) ++counts[driver->state()];
  return counts;
}

Task<> Registry::warm_templates() {
  return goldens_.warm();
}

Task<> Registry::watch_idle() {
  for (;;) {
    co_await async::sleep(limits::kReaperTick);
    const SteadyTime now = SteadyClock::now();
    for (const auto& [id, driver] : drivers_) driver->check_idle(now);
  }
}

// --- the end

static Task<> pause_in_turn(Registry& registry, std::vector<std::string>& ids) {
  while (!ids.empty()) {
    const std::string id = std::move(ids.back());
    ids.pop_back();
    std::string failure;
    try {
      co_await registry.pause(id, "host_stopped");
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      failure = describe(error);
    }
    if (!failure.empty())
      log::error("cannot pause a sandbox; it goes on running without the agent",
                 {{"sandbox_id", id}, {"error", failure}});
  }
}

Task<> Registry::pause_all() {
  std::vector<std::string> ids;
  for (const auto& [id, driver] : drivers_)
    if (driver->state() != SandboxState::paused && driver->state() != SandboxState::error) ids.push_back(id);
  if (ids.empty()) co_return;
  log::info("pausing all sandboxes", {{"count", ids.size()}});
  async::Scope workers(host_.executor, "pause all");
  for (int i = 0; i < limits::kPauseAllParallel; ++i) workers.spawn(pause_in_turn(*this, ids));
  auto all = workers.join();
  co_await async::with_timeout(limits::kPauseAll, "pausing all sandboxes", std::move(all));
}

Task<> Registry::close() {
  closed_ = true;
  for (const auto& [id, driver] : drivers_) driver->close();
  co_await scope_.join();
}

}  // namespace wrenn::agent::sandbox
