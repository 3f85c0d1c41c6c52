// What the host's own network needs once, before the first slot.
#pragma once

#include "agent/network/rules.h"

namespace wrenn::agent::network {

// Turns on IPv4 forwarding if it is off (a log line says so) and installs the host table. Idempotent; run at
// every start of the agent: sandboxes that run meanwhile keep their connections. Blocks. Throws SystemError,
// Error.
void prepare_host_network(const HostRules& rules);
// Removes the host table. Forwarding stays as it is: others may rely on it. For tests and uninstallation.
void remove_host_network();

}  // namespace wrenn::agent::network
