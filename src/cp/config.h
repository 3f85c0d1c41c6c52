// Settings of the control plane.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/secret.h"
#include "core/config/settings.h"
#include "cp/channels/limits.h"
#include "cp/limits.h"
#include "cp/oauth/github.h"

namespace wrenn::cp {

// How notification channels reach their receivers.
struct ChannelConfig {
  bool allow_private = false;                 // also to this machine and its network
  std::vector<std::string> allowed_networks;  // of those: "10.1.0.0/16"
  std::chrono::milliseconds first_retry = channels::limits::kFirstRetry;
  std::chrono::milliseconds second_retry = channels::limits::kSecondRetry;
  std::chrono::milliseconds unreachable_for = channels::limits::kUnreachableFor;
};

struct Config {
  std::string listen = ":8000";
  std::string dir = "/var/lib/wrenn";
  Secret database_url;        // empty: SQLite in `dir`
  std::string agent_address;  // "host:port", "unix:/path"; empty: unix:DIR/agent.sock
  Secret agent_token;         // empty: none is sent
  // Ports of capsules are reached at PORT-ID.DOMAIN; the first is what clients are told.
  std::vector<std::string> gateway_domains = {"localhost"};
  // Where the dashboard is, for links in mails and ways back from providers; without a slash at its end.
  std::string app_url = "http://localhost:8000";
  // Proxies of ours, by address: what they say of a client counts.
  std::vector<std::string> trusted_proxies = {"127.0.0.1", "::1"};
  std::vector<std::string> allowed_origins;  // pages of other hosts that may use sessions
  // Mails: to a server, or without one into files of a directory, or nowhere.
  std::string smtp_host, smtp_username, smtp_from = "noreply@wrenn.dev", smtp_security = "auto", mail_dir;
  std::int64_t smtp_port = 587;
  Secret smtp_password;
  std::string public_url = "http://localhost:8000";  // where we are reached from outside; as app_url
  oauth::GithubSettings github;                      // empty client_id: no sign-in with it
  std::string outbound_ca_file;                      // whom we trust in TLS; empty: the machine's
  bool rate_limits = true;                           // of the credential routes
  std::int64_t max_vcpus = limits::kMaxVcpus;
  std::int64_t max_memory_mb = limits::kMaxMemoryMb;
  // Of a team, at once; 0: as much as there is.
  std::int64_t max_concurrent_sandboxes = 0, team_max_vcpus = 0, team_max_memory_mb = 0;
  std::chrono::milliseconds answer_within = limits::kAnswerWithin;
  std::chrono::milliseconds reconcile_period = limits::kReconcilePeriod;
  std::chrono::milliseconds host_lost_after = limits::kHostLost;
  Secret encryption_key;  // 64 hexadecimal digits; empty: DIR/encryption.key
  ChannelConfig channels;
  Secret redis_url;  // events are copied there; empty: nowhere
  std::chrono::milliseconds events_retention = channels::limits::kRetention;
  std::string log_level = "info";

  std::string effective_database_url() const;
  std::string effective_agent_address() const;
};

// The setting of the gateway alone, for roles that contain a control plane.
void describe_gateway(config::Settings& settings, std::vector<std::string>& domains);
// The same of channels.
void describe_channels(config::Settings& settings, ChannelConfig& values);
// Binds every setting; see core/config/settings.h.
void describe(config::Settings& settings, Config& values);

}  // namespace wrenn::cp
