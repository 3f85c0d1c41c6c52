// /sandboxes/{id}/envd/…: the guest's envd, with its access token added.
#pragma once

#include "agent/sandbox/registry.h"
#include "core/http/router.h"

namespace wrenn::agent {

// Both outlive the router.
void add_pass_through_routes(http::Router& router, sandbox::Host& host, sandbox::Registry& registry);

// The request target for the guest: "/sandboxes/cl-x/envd/files?path=a" → "/files?path=a", nothing decoded.
std::string guest_target(std::string_view target);

}  // namespace wrenn::agent
