// What every sandbox of an agent shares. Built once by run.cpp (or by a test), outlives all sandboxes.
#pragma once

#include <string>

#include "agent/journal.h"
#include "agent/mechanisms.h"
#include "agent/sandbox/boot_queue.h"
#include "agent/sandbox/engine.h"
#include "agent/sandbox/figures.h"
#include "agent/sandbox/layers.h"
#include "agent/sandbox/memory_bases.h"
#include "agent/sandbox/slot_pool.h"
#include "core/async/offload.h"
#include "core/base/secret.h"

namespace wrenn::agent::sandbox {

class Changes;
class Goldens;
class Spares;

struct Host {
  std::string directory;  // the agent's, absolute: sandboxes/ and snapshots/ are below it
  async::Executor executor;
  async::ThreadPool& sys;
  Mechanisms& mechanisms;
  Journal& journal;
  Engine& engine;
  SlotPool& slots;
  BootQueue& boots;
  Layers& layers;
  MemoryBases& bases;
  Figures& figures;
  std::string agent_version;
  Secret seal_key;             // of manifests
  Changes* changes = nullptr;  // the registry's
  // Null before the registry exists, and in tests of what has none: then everything boots.
  Goldens* goldens = nullptr;
  Spares* spares = nullptr;  // null: none are kept

  std::string snapshots() const { return directory + "/snapshots"; }
  std::string golden() const { return directory + "/golden"; }
  std::string forks() const { return directory + "/forks"; }  // drafts only
  std::string checkpoints(const std::string& sandbox_id) const {
    return directory + "/checkpoints/" + sandbox_id;
  }
};

}  // namespace wrenn::agent::sandbox
