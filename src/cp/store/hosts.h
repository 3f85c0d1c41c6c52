// Hosts: the machines that run capsules.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct Host {
  model::HostId id;
  std::string address;  // of its agent
  std::string status;   // pending | online | offline | unreachable | draining
  std::string arch;
  std::int64_t cpu_cores = 0, memory_mb = 0, disk_gb = 0;
  std::string metadata;  // JSON object
  std::optional<UnixTime> last_heartbeat_at;
};

// All throw as db::Connection::query().

// The row of the one host that this control plane works with: found, given `address` if that has changed, or
// made.
Host ensure_local_host(db::Connection& connection, const std::string& address, UnixTime at);
void set_host_facts(db::Connection& connection, const Host& host, UnixTime at);
std::optional<UnixTime> host_last_heard(db::Connection& connection, const model::HostId& id);
// True if the status was another before.
bool set_host_heard(db::Connection& connection, const model::HostId& id, UnixTime at);
bool set_host_unreachable(db::Connection& connection, const model::HostId& id, UnixTime at);

}  // namespace wrenn::cp::store
