#include "cp/figures.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "core/base/version.h"
#include "cp/channels/deliverer.h"
#include "cp/store/figures.h"

namespace wrenn::cp {

namespace {

// Resident memory, the second number there (proc(5)); 0 if it cannot be read.
double resident_bytes() {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen("/proc/self/statm", "re"),
                                                                &std::fclose);
  long all = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%ld %ld", &all, &resident) != 2) return 0;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double value_in(const auto& counts, const auto& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : static_cast<double>(found->second);
}

// Every status each time: a series that vanishes when its count is zero breaks graphs.
void show(metrics::Registry& registry, const store::Figures& figures) {
  using enum model::SandboxState;
  for (const auto state : {pending, starting, running, pausing, paused, resuming, stopping, missing})
    registry
        .gauge("wrenn_cp_sandboxes", "Capsules that are neither stopped nor failed.",
               {{"status", std::string(to_string(state))}})
        .set(value_in(figures.sandboxes, state));
  for (const std::string status : {"pending", "online", "offline", "unreachable", "draining"})
    registry.gauge("wrenn_cp_hosts", "Hosts that are known.", {{"status", status}})
        .set(value_in(figures.hosts, status));
  const auto waiting = [&](const char* queue, std::int64_t count) {
    registry
        .gauge("wrenn_cp_queue_length",
               "What waits: outbox (events nobody has been told of), deliverer (events of which no "
               "deliveries are "
               "made yet), deliveries (that are not over), due (of them, to be tried now).",
               {{"queue", queue}})
        .set(static_cast<double>(count));
  };
  waiting("outbox", figures.events_new);
  waiting("deliverer", figures.events_not_taken_in);
  waiting("deliveries", figures.deliveries_pending);
  waiting("due", figures.deliveries_due);
  registry
      .gauge("wrenn_cp_dead_letters", "Events that were given up for a channel and can be delivered again.")
      .set(static_cast<double>(figures.deliveries_dead));
}

// A read of one row takes some 50 µs with SQLite [measured]; longer than 30 s neither engine lets a statement
// wait or run (core/db/limits.h).
std::vector<double> database_bounds_seconds() {
  return {0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,     0.1,     0.25,   0.5,     1,      2.5,   5,      10,    30};
}

}  // namespace

DatabaseFigures::Series::Series(metrics::Registry& registry, const char* kind)
    : seconds(registry.histogram("wrenn_cp_database_duration_seconds",
                                 "Reads and writes, waiting for a connection included.",
                                 database_bounds_seconds(), {{"kind", kind}})),
      failures(
          registry.counter("wrenn_cp_database_failures_total",
                           "Reads and writes that the database failed: it was gone, busy, full or broken.",
                           {{"kind", kind}})) {}

void DatabaseFigures::Series::count(const db::Measured& measured) noexcept {
  seconds.observe(std::chrono::duration<double>(measured.took).count());
  if (measured.failed) failures.add();
}

DatabaseFigures::DatabaseFigures(db::Database& database, db::Room& room, metrics::Registry& registry)
    : database_(database), reads_(registry, "read"), writes_(registry, "write") {
  database_.observe([this, &room](const db::Measured& measured) {
    room.note(measured, SteadyClock::now());
    (measured.kind == db::Measured::Kind::read ? reads_ : writes_).count(measured);
  });
}

Task<> refresh_figures(Services& services) {
  auto& registry = services.metrics;
  const auto at = now();
  auto ask = [at](db::Connection& connection) { return store::figures(connection, channels::kGroup, at); };
  const auto figures = co_await services.database.read(ask);
  show(registry, figures);
  registry.gauge("wrenn_cp_operations", "Creates, pauses, resumes and destroys under way.")
      .set(static_cast<double>(services.capsules.operations()));
  registry.gauge("wrenn_cp_event_listeners", "Open streams of GET /v1/events/stream.")
      .set(static_cast<double>(services.notifier.feed.listeners()));
  registry.gauge("wrenn_cp_resident_memory_bytes", "Of this process.").set(resident_bytes());
  registry.gauge("wrenn_cp_build_info", "Always 1.", {{"version", std::string(kVersion)}}).set(1);
}

}  // namespace wrenn::cp
