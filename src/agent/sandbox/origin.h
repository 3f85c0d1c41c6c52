// What a machine is made from instead of a boot: a snapshot, with all that it needs at hand.
#pragma once

#include <memory>

#include "agent/sandbox/layers.h"
#include "agent/snapshot/snapshot.h"

namespace wrenn::agent::sandbox {

struct Host;

// Shared by all that are being made from it at once; make_origin() has its files closed beside the loop.
struct Origin {
  snapshot::Snapshot snapshot;
  std::shared_ptr<const snapshot::MemoryBase> base;
  Layers::Pin pin;  // of the layers that the manifest names
};

// A sandbox's state of one moment, before it is decided where it stays: nowhere (children are made of it), or
// on disk.
struct Frozen {
  snapshot::Draft draft;
  snapshot::Manifest manifest;  // its disk is frozen
  std::shared_ptr<const snapshot::MemoryBase> base;
  Layers::Pin pin;
};

// Runs `work` on `draft` and lets go of it: beside everything else when that went well (it may hold an earlier
// snapshot, whose deletion takes long), before the failure is told when it did not. Who hears that the host's
// disk is full must find the room there that was taken in vain.
Task<> use_up(Host& host, snapshot::Draft& draft, Task<> work);
// Deletes what was written of it. Not to be cancelled.
Task<> give_up(Host& host, snapshot::Draft& draft);

// The layers that a manifest names.
std::vector<std::string> layers_of(const snapshot::Manifest& manifest);
std::shared_ptr<Origin> make_origin(Host& host);
// Of a snapshot that was loaded: holds its layers and its memory. Throws as MemoryBases::get().
Task<std::shared_ptr<const Origin>> make_origin(Host& host, snapshot::Snapshot snapshot);

}  // namespace wrenn::agent::sandbox
