// /proxy/{id}/{port}/…: a port of a guest, for the gateway of the control plane (spec/hostagent.md §9).
#pragma once

#include "agent/sandbox/registry.h"
#include "core/http/router.h"

namespace wrenn::agent {

// Both outlive the router.
void add_port_proxy_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry);

}  // namespace wrenn::agent
