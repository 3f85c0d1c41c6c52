// The hosts and how to reach their agents. There is one for now: the agent whose address is configured.
#pragma once

#include <string>

#include "api/agent_client.h"
#include "core/db/database.h"
#include "core/http/client.h"
#include "cp/store/hosts.h"
#include "cp/store/templates.h"

namespace wrenn::cp {

struct HostAgent {
  HostAgent(async::Executor executor, store::Host row, http::ClientOptions options)
      : host(std::move(row)),
        client(executor, net::Address::parse(host.address), std::move(options)),
        agent(client) {}
  store::Host host;  // facts as last heard
  http::Client client;
  api::AgentClient agent;
};

class HostAgents {
 public:
  // Blocking: finds or makes the host's row. `headers` go with every request (credentials).
  HostAgents(async::Executor executor, db::Database& database, const std::string& address,
             http::Headers headers);

  // Throws PublicError host_unavailable for a host whose agent is not (any more) known here.
  HostAgent& at(const model::HostId& id);
  // Where a new capsule goes. Throws PublicError no_hosts_available when no host that has the files of `from`
  // is large enough.
  HostAgent& pick(std::int64_t vcpus, std::int64_t memory_mb, const store::Template& from);
  HostAgent& local() noexcept { return *local_; }

 private:
  std::unique_ptr<HostAgent> local_;
};

}  // namespace wrenn::cp
