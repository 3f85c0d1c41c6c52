// The unary calls of hostagent.v1.HostAgentService (api/agent.h).
#pragma once

#include "agent/sandbox/registry.h"
#include "core/http/router.h"

namespace wrenn::agent {

// Both outlive the router.
void add_rpc_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry);

}  // namespace wrenn::agent
