// What this host is and offers.
#pragma once

#include "agent/sandbox/host.h"
#include "api/agent.h"

namespace wrenn::agent {

// The facts that need no VMM; acceleration and vmm_version stay empty. Blocks. Throws SystemError.
api::agent::HostInfo read_host_info(const std::string& directory);

// All of it; waits for the probe of the acceleration when there is a kernel to probe with. What cannot be
// found out stays empty.
async::Task<api::agent::HostInfo> host_info(sandbox::Host& host);

}  // namespace wrenn::agent
