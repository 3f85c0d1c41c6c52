// A running QEMU's disk: a chain of files that gets longer from above and shorter from below.
//
//   disk-0 (raw image) ← disk-1 ← … ← disk-K, which takes the writes
//
// K only grows while the process lives, so that no name is used twice; how many files are below the disk is
// another number once a merge has taken some out of the middle. Each function asks QEMU what there is: the
// agent that put it there may have been an earlier one. Throws are those of Qmp::execute().
#pragma once

#include <memory>
#include <string>

#include "agent/vmm/machine.h"
#include "agent/vmm/qmp.h"

namespace wrenn::agent::vmm {

// Machine::push_overlay().
Task<> push_overlay(std::shared_ptr<Qmp> qmp, sys::FdView overlay);
// Machine::disk_layers(). Throws Error(internal) when QEMU does not say what its disk is.
Task<std::size_t> count_disk_layers(std::shared_ptr<Qmp> qmp);
// Machine::begin_disk_merge() and its companions.
Task<> begin_disk_merge(std::shared_ptr<Qmp> qmp, std::string image);
Task<DiskMerge> find_disk_merge(std::shared_ptr<Qmp> qmp);
Task<> end_disk_merge(std::shared_ptr<Qmp> qmp);

}  // namespace wrenn::agent::vmm
