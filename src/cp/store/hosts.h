// Hosts and the templates whose files they hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

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
// True if the status was another before.
bool set_host_heard(db::Connection& connection, const model::HostId& id, UnixTime at);
bool set_host_unreachable(db::Connection& connection, const model::HostId& id, UnixTime at);

struct Template {
  model::TemplateId id;
  model::TeamId team;
  std::string name;
  std::string type;                       // base | snapshot
  std::int64_t vcpus = 0, memory_mb = 0;  // of a snapshot
  std::int64_t size_bytes = 0;
  std::string default_user;
  std::string default_env = "{}";  // JSON object of strings
  std::string metadata = "{}";     // JSON object of strings
  UnixTime created_at;
};

// What `team` may use: its own and the platform's, where some host has the files; newest first.
std::vector<Template> usable_templates(db::Connection& connection, const model::TeamId& team);
// The system templates that the host has now: added or updated; those it no longer has lose their place
// there, and vanish when no host has them.
struct HostedTemplate {
  Template row;
  std::string generation;
};
void replace_host_templates(db::Connection& connection, const model::HostId& host,
                            const std::vector<HostedTemplate>& templates);

}  // namespace wrenn::cp::store
