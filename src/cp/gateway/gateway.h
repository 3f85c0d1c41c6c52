// Gateway: passes requests to ports of guests on to the agent of their host. It stands before the API:
// nothing of the API (routes, keys, request ids, its error envelope) is seen on a guest's name.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/db/database.h"
#include "core/http/reply.h"
#include "core/metrics/metrics.h"
#include "cp/gateway/address.h"
#include "cp/host_agents.h"
#include "cp/shutdown.h"

namespace wrenn::cp::gateway {

using async::Task;

class Gateway {
 public:
  // `domains` as configured. The references must outlive this.
  Gateway(const std::vector<std::string>& domains, db::Database& database, HostAgents& hosts,
          Shutdown& shutdown, metrics::Registry& metrics)
      : domains_(usable_domains(domains)),
        database_(database),
        hosts_(hosts),
        shutdown_(shutdown),
        metrics_(metrics) {}

  Destination destination_of(const http::Request& request) const {
    return gateway::destination_of(request, domains_);
  }
  // For every destination but the API.
  Task<> handle(http::Request& request, http::Reply& reply, Destination destination);

 private:
  Task<> pass(http::Request& request, http::Reply& reply, const Destination& destination);
  Task<> forward(http::Request& request, http::Reply& reply, const Destination& destination);
  // Absent: no such capsule, or it is stopped.
  Task<std::optional<model::HostId>> host_of(const Destination& destination);
  Task<> until_shutdown();
  void note(const http::Request& request, const Destination& destination, std::string_view outcome,
            SteadyTime start);

  const std::vector<std::string> domains_;
  db::Database& database_;
  HostAgents& hosts_;
  Shutdown& shutdown_;
  metrics::Registry& metrics_;
  // Of capsules that are in use. Only where to ask is remembered; what is true there its agent says.
  struct Known {
    model::HostId host;
    SteadyTime until;
  };
  std::unordered_map<model::SandboxId, Known> known_;
};

}  // namespace wrenn::cp::gateway
