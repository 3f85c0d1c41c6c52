#include "cp/figures.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

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

}  // namespace

Task<> refresh_figures(Services& services) {
  auto& registry = services.metrics;
  const auto at = now();
  const auto start = SteadyClock::now();
  auto ask = [at](db::Connection& connection) { return store::figures(connection, channels::kGroup, at); };
  const auto figures = co_await services.database.read(ask);
  registry
      .histogram("wrenn_cp_database_read_duration_seconds",
                 "The question behind these figures, waiting for a connection included.",
                 metrics::duration_bounds_seconds())
      .observe(std::chrono::duration<double>(SteadyClock::now() - start).count());
  show(registry, figures);
  registry.gauge("wrenn_cp_operations", "Creates, pauses, resumes and destroys under way.")
      .set(static_cast<double>(services.capsules.operations()));
  registry.gauge("wrenn_cp_event_listeners", "Open streams of GET /v1/events/stream.")
      .set(static_cast<double>(services.notifier.feed.listeners()));
  registry.gauge("wrenn_cp_resident_memory_bytes", "Of this process.").set(resident_bytes());
  registry.gauge("wrenn_cp_build_info", "Always 1.", {{"version", std::string(kVersion)}}).set(1);
}

}  // namespace wrenn::cp
