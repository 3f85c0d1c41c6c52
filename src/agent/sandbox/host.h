// What every sandbox of an agent shares. Built once by run.cpp (or by a test), outlives all sandboxes.
#pragma once

#include <string>

#include "agent/journal.h"
#include "agent/mechanisms.h"
#include "agent/sandbox/boot_queue.h"
#include "agent/sandbox/engine.h"
#include "agent/sandbox/figures.h"
#include "agent/sandbox/slot_pool.h"
#include "core/async/offload.h"

namespace wrenn::agent::sandbox {

struct Host {
  std::string directory;  // the agent's, absolute: sandboxes/ and snapshots/ are below it
  async::Executor executor;
  async::ThreadPool& sys;
  Mechanisms& mechanisms;
  Journal& journal;
  Engine& engine;
  SlotPool& slots;
  BootQueue& boots;
  Figures& figures;
  std::string agent_version;

  std::string snapshots() const { return directory + "/snapshots"; }
};

}  // namespace wrenn::agent::sandbox
