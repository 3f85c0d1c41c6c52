// Which slots of this host are taken: lowest free first. A value of the loop thread; touches no kernel
// object.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "agent/network/slot.h"

namespace wrenn::agent::network {

class SlotAllocator {
 public:
  SlotAllocator() : taken_(kLastSlot + 1, false) {}

  // Absent when all are taken.
  std::optional<int> allocate() noexcept;
  // Takes a particular one, known from the journal. False when it is taken already or out of range.
  bool take(int index) noexcept;
  // Giving back a slot that is free is a bug and aborts.
  void release(int index);
  bool is_taken(int index) const noexcept;
  std::size_t count() const noexcept { return count_; }

 private:
  std::vector<bool> taken_;
  int search_from_ = kFirstSlot;  // everything below is taken
  std::size_t count_ = 0;
};

}  // namespace wrenn::agent::network
