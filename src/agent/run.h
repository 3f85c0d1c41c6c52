// The host agent as a whole: what `wrenn agent` is, and one half of `wrenn dev`.
#pragma once

#include <functional>

#include "agent/config.h"
#include "core/async/task.h"
#include "core/net/address.h"

namespace wrenn::agent {

struct Hooks {
  // Called once, when sandboxes are recovered and the listener is open. May be empty.
  std::function<void(const net::Address& address)> ready;
  // Awaited; when it returns the agent ends as Config::on_exit says. Must not be empty.
  std::function<async::Task<>()> until;
};

// Runs the agent on the loop of the calling coroutine until `hooks.until` returns. Throws Error when it
// cannot start: the directory is in use by another agent, the address is taken, ….
async::Task<> serve(Config config, Hooks hooks);

// `wrenn agent`: the same on a loop of its own, until SIGINT or SIGTERM. Blocks. Throws as serve().
void run(const Config& config);

}  // namespace wrenn::agent
