// `wrenn dev`: control plane and host agent of a single machine in one process.
#pragma once

#include "dev/config.h"

namespace wrenn::dev {

// Serves until SIGINT or SIGTERM. At the first start a team and an API key are made; DIR/dev.json (mode 0600) holds
// {"url","api_key"} for the CLI. Blocks. Throws Error with what to do when it cannot start.
void run(const Config& config);

}  // namespace wrenn::dev
