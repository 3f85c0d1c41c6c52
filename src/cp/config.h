// Settings of the control plane.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/secret.h"
#include "core/config/settings.h"
#include "cp/limits.h"

namespace wrenn::cp {

struct Config {
  std::string listen = ":8000";
  std::string dir = "/var/lib/wrenn";
  Secret database_url;        // empty: SQLite in `dir`
  std::string agent_address;  // "host:port", "unix:/path"; empty: unix:DIR/agent.sock
  Secret agent_token;         // empty: none is sent
  // Ports of capsules are reached at PORT-ID.DOMAIN; the first is what clients are told.
  std::vector<std::string> gateway_domains = {"localhost"};
  std::int64_t max_vcpus = limits::kMaxVcpus;
  std::int64_t max_memory_mb = limits::kMaxMemoryMb;
  std::chrono::milliseconds answer_within = limits::kAnswerWithin;
  std::chrono::milliseconds reconcile_period = limits::kReconcilePeriod;
  std::chrono::milliseconds host_lost_after = limits::kHostLost;
  std::string log_level = "info";

  std::string effective_database_url() const;
  std::string effective_agent_address() const;
};

// The setting of the gateway alone, for roles that contain a control plane.
void describe_gateway(config::Settings& settings, std::vector<std::string>& domains);
// Binds every setting; see core/config/settings.h.
void describe(config::Settings& settings, Config& values);

}  // namespace wrenn::cp
