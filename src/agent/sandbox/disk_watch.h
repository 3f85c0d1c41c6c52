// Watches that the host has room for what a running machine may write to its disk (disk/dm_snapshot.h). Once
// the host's disk is as good as full it says so; a machine that could lose a write is stopped until there is
// room again.
//
//   ample ⇄ low: a warning ⇄ none: the machine stands still, looked at more often
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/sandbox/host.h"

namespace wrenn::agent::sandbox {

struct DiskWatch {
  std::string sandbox_id;
  disk::DiskRecord disk;
  std::shared_ptr<vmm::Machine> machine;
  // Whether an operation has the machine, which must not be stopped or let run then.
  std::function<bool()> busy;
  // Why the machine stands still; empty when it runs.
  std::function<void(std::string)> tell;
  // The disk is lost, and why; nothing more is watched.
  std::function<void(std::string)> lost;
};

// Looks at once and then for as long as the machine lives. Disks of other kinds are not watched.
Task<> watch_disk(Host& host, DiskWatch watch);

}  // namespace wrenn::agent::sandbox
