// The agent's own figures at /metrics, by name in one place.
#pragma once

#include <string_view>

#include "core/base/clock.h"
#include "core/metrics/metrics.h"

namespace wrenn::agent::sandbox {

class Figures {
 public:
  explicit Figures(metrics::Registry& registry) : registry_(registry) {}

  // A step of create, pause or resume: "network", "disk", "vmm", "boot", "introduce", "save_memory", ….
  void stage(std::string_view stage, SteadyClock::duration took) {
    registry_
        .histogram("wrenn_agent_sandbox_stage_duration_seconds",
                   "Duration of one step of an operation on a sandbox.", metrics::duration_bounds_seconds(),
                   {{"stage", std::string(stage)}})
        .observe(seconds(took));
  }
  // A whole operation; outcome is "success", "error" or "canceled".
  void operation(std::string_view operation, std::string_view outcome, SteadyClock::duration took) {
    registry_
        .histogram("wrenn_agent_sandbox_operation_duration_seconds", "Duration of operations on sandboxes.",
                   metrics::duration_bounds_seconds(),
                   {{"operation", std::string(operation)}, {"outcome", std::string(outcome)}})
        .observe(seconds(took));
  }
  // "ready": it was there; "made": the create waited for it.
  void slot_taken(std::string_view how) {
    registry_
        .counter("wrenn_agent_network_slots_taken_total", "Network slots given to sandboxes.",
                 {{"how", std::string(how)}})
        .add();
  }
  // "ready", or "none": the create had to clone.
  void spare_taken(std::string_view how) {
    registry_
        .counter("wrenn_agent_spares_taken_total", "Creates that asked for a spare machine.",
                 {{"how", std::string(how)}})
        .add();
  }
  void vmm_ended(std::string_view cause) {
    registry_
        .counter("wrenn_agent_vmm_ends_total", "Machines that ended without being asked to.",
                 {{"cause", std::string(cause)}})
        .add();
  }
  void ttl_pause_failed() {
    registry_
        .counter("wrenn_agent_ttl_pause_failures_total",
                 "Automatic pauses that failed; they are tried again.")
        .add();
  }
  void stopped_for_room() {
    registry_
        .counter("wrenn_agent_disk_stops_total",
                 "Sandboxes that were stopped because the host's disk has no room for what they may write.")
        .add();
  }
  void passed_through(std::string_view outcome) {
    registry_
        .counter("wrenn_agent_passthrough_requests_total", "Requests passed through to guests.",
                 {{"outcome", std::string(outcome)}})
        .add();
  }
  void port_request(std::string_view outcome) {
    registry_
        .counter("wrenn_agent_port_requests_total", "Requests to ports of guests.",
                 {{"outcome", std::string(outcome)}})
        .add();
  }
  metrics::Registry& registry() noexcept { return registry_; }

 private:
  static double seconds(SteadyClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
  }
  metrics::Registry& registry_;
};

}  // namespace wrenn::agent::sandbox
