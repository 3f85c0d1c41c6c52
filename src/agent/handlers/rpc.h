// The unary calls of hostagent.v1.HostAgentService (api/agent.h).
#pragma once

#include "agent/host_sampler.h"
#include "agent/sandbox/registry.h"
#include "core/http/router.h"

namespace wrenn::agent {

// All outlive the router.
void add_rpc_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry,
                    const HostSampler& sampler);

}  // namespace wrenn::agent
