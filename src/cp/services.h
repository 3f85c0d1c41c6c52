// What handlers and workers are made of, in the order in which it depends on each other.
#pragma once

#include "core/async/scope.h"
#include "core/db/database.h"
#include "core/db/room.h"
#include "core/metrics/metrics.h"
#include "core/outbound/http_request.h"
#include "core/outbound/mailer.h"
#include "cp/authenticator.h"
#include "cp/config.h"
#include "cp/host_agents.h"
#include "cp/idempotency.h"
#include "cp/notifier.h"
#include "cp/service/accounts.h"
#include "cp/service/administration.h"
#include "cp/service/api_keys.h"
#include "cp/service/capsule_service.h"
#include "cp/service/hosts.h"
#include "cp/service/oauth_sign_in.h"
#include "cp/service/snapshots.h"
#include "cp/service/teams.h"
#include "cp/service/usage.h"
#include "cp/service/templates.h"
#include "cp/shutdown.h"

namespace wrenn::cp {

struct Services {
  // `config` and `database` must outlive this. Blocking: finds or makes the host's row. `port` is where the
  // API listens. Throws what the database throws.
  Services(async::Executor executor, const Config& config, db::Database& database, std::uint16_t port);

  const Config& config;
  db::Database& database;
  db::Room room;  // of the database
  // Both must be joined before this dies.
  async::Scope background, operations;
  metrics::Registry metrics;
  Shutdown shutdown;
  service::Credentials credentials;
  std::unique_ptr<db::Subscription> revocations;
  Authenticator authenticator;
  std::unique_ptr<outbound::Mailer> mailer;
  service::Post post;
  service::Accounts accounts;
  outbound::Client outbound;
  oauth::Registry providers;
  service::OauthSignIn oauth_sign_in;
  service::Teams teams;
  service::ApiKeys api_keys;
  service::Administration administration;
  HostAgents hosts;
  service::Hosts known_hosts;
  service::Templates templates;
  service::Operations under_way;
  service::FixedLimits limits;
  service::StoredUsage usage;
  service::Quotas quotas;
  service::Usage team_usage;
  service::MetricsArchive metrics_archive;
  service::CapsuleService capsules;
  service::Snapshots snapshots;
  Notifier notifier;
  Idempotency idempotency;
  std::string domain;  // gateway::public_domain()
};

}  // namespace wrenn::cp
