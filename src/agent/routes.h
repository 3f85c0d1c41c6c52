// Every route of the agent and what stands before all of them: authentication and the form of errors.
#pragma once

#include "agent/host_sampler.h"
#include "agent/sandbox/registry.h"
#include "core/base/secret.h"
#include "core/http/router.h"
#include "core/http/server.h"

namespace wrenn::agent {

// All outlive the router.
http::Router make_routes(sandbox::Host& host, sandbox::Registry& registry, const HostSampler& sampler);

// Asks for `token` (unless empty) on everything but /health, then routes. Both parameters outlive the
// handler.
http::Handler make_handler(const http::Router& router, const Secret& token);

// Connect errors, also for what HTTP itself refuses.
http::Response render_error(int status, std::exception_ptr error, const http::Request* request);

}  // namespace wrenn::agent
