// The memory bases in use, each loaded once: a base stays in memory while somebody holds it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/mechanisms.h"
#include "core/async/event.h"
#include "core/async/offload.h"

namespace wrenn::agent::sandbox {

using async::Task;

// Belongs to the loop thread.
class MemoryBases {
 public:
  MemoryBases(async::Executor executor, async::ThreadPool& sys, Mechanisms& mechanisms)
      : sys_(sys), mechanisms_(mechanisms), changed_(std::move(executor)) {}

  // `path` as in a manifest; empty: zeros. Callers that ask for the same one meanwhile wait for the same
  // load. Throws as MemoryBase::load().
  Task<std::shared_ptr<const snapshot::MemoryBase>> get(std::string path, int memory_mib);

 private:
  using Key = std::pair<std::string, int>;
  async::ThreadPool& sys_;
  Mechanisms& mechanisms_;
  async::Event changed_;
  std::map<Key, std::weak_ptr<const snapshot::MemoryBase>> loaded_;
  std::map<Key, bool> loading_;
};

}  // namespace wrenn::agent::sandbox
