// What handlers are made of. Everything in here outlives them.
#pragma once

#include "core/db/database.h"
#include "core/metrics/metrics.h"
#include "cp/authenticator.h"
#include "cp/config.h"
#include "cp/service/capsule_service.h"
#include "cp/service/snapshots.h"
#include "cp/service/templates.h"
#include "cp/shutdown.h"

namespace wrenn::cp {

struct Services {
  const Config& config;
  db::Database& database;
  metrics::Registry& metrics;
  Authenticator& authenticator;
  service::Templates& templates;
  service::CapsuleService& capsules;
  service::Snapshots& snapshots;
  Shutdown& shutdown;
  std::string domain;  // gateway::public_domain()
};

}  // namespace wrenn::cp
