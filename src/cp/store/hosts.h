// Hosts: the machines that run capsules.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

inline constexpr std::string_view kRegularHost = "regular", kByocHost = "byoc";  // a team's own

struct Host {
  model::HostId id;
  std::string type;                   // kRegularHost, kByocHost
  std::optional<model::TeamId> team;  // whose byoc host it is
  std::string provider, availability_zone;
  std::string address;  // of its agent
  std::string status;   // pending | online | offline | unreachable | draining
  std::string arch;
  std::int64_t cpu_cores = 0, memory_mb = 0, disk_gb = 0;
  std::string metadata;  // JSON object
  std::optional<UnixTime> last_heartbeat_at;
  std::string created_by;  // a user's id; empty for what the program made
  UnixTime created_at, updated_at;
};

struct ListedHost {
  Host host;
  std::string team_name;  // empty for a host of no team
};

// All throw as db::Connection::query().

// The row of the one host that this control plane works with: found, given `address` if that has changed, or
// made.
Host ensure_local_host(db::Connection& connection, const std::string& address, UnixTime at);
// By the time they were made.
std::vector<ListedHost> all_hosts(db::Connection& connection);
std::vector<ListedHost> byoc_hosts_of(db::Connection& connection, const model::TeamId& team);
std::optional<ListedHost> find_host(db::Connection& connection, const model::HostId& id);
void set_host_facts(db::Connection& connection, const Host& host, UnixTime at);
std::optional<UnixTime> host_last_heard(db::Connection& connection, const model::HostId& id);
// True if the status was another before.
bool set_host_heard(db::Connection& connection, const model::HostId& id, UnixTime at);
bool set_host_unreachable(db::Connection& connection, const model::HostId& id, UnixTime at);

}  // namespace wrenn::cp::store
