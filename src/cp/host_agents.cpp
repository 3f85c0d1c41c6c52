#include "cp/host_agents.h"

#include <algorithm>

#include "api/errors.h"

namespace wrenn::cp {

static constexpr std::size_t kIdleConnections = 64;  // to an agent: each stream and call of a capsule is one

HostAgents::HostAgents(async::Executor executor, db::Database& database, const std::string& address,
                       http::Headers headers) {
  store::Host row;
  database.write_now(
      [&](db::Connection& connection) { row = store::ensure_local_host(connection, address, now()); });
  http::ClientOptions options;
  options.idle_connections_max = kIdleConnections;
  options.headers = std::move(headers);
  local_ = std::make_unique<HostAgent>(executor, std::move(row), std::move(options));
}

HostAgent& HostAgents::at(const model::HostId& id) {
  if (id != local_->host.id)
    throw api::PublicError(ErrorCode::unavailable, 503, "host_unavailable",
                           "this control plane has no connection to the host");
  return *local_;
}

HostAgent& HostAgents::pick(std::int64_t vcpus, std::int64_t memory_mb, const store::Template& from) {
  const auto& host = local_->host;
  if (std::find(from.hosts.begin(), from.hosts.end(), host.id) == from.hosts.end())
    throw api::PublicError(ErrorCode::unavailable, 503, "no_hosts_available",
                           fmt::format("no server that has the template {} is known any more", from.name));
  // vCPUs are shared in time, memory is not.
  if (host.memory_mb > 0 && memory_mb > host.memory_mb)
    throw api::PublicError(ErrorCode::unavailable, 503, "no_hosts_available",
                           fmt::format("no server is large enough for {} MiB: the largest has {} MiB",
                                       memory_mb, host.memory_mb));
  (void)vcpus;
  return *local_;
}

}  // namespace wrenn::cp
