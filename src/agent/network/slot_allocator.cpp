#include "agent/network/slot_allocator.h"

#include <algorithm>

#include "core/base/check.h"

namespace wrenn::agent::network {

std::optional<int> SlotAllocator::allocate() noexcept {
  for (int index = search_from_; index <= kLastSlot; ++index) {
    if (taken_[static_cast<std::size_t>(index)]) continue;
    taken_[static_cast<std::size_t>(index)] = true;
    search_from_ = index + 1;
    ++count_;
    return index;
  }
  return std::nullopt;
}

bool SlotAllocator::take(int index) noexcept {
  if (index < kFirstSlot || index > kLastSlot || is_taken(index)) return false;
  taken_[static_cast<std::size_t>(index)] = true;
  ++count_;
  return true;
}

void SlotAllocator::release(int index) {
  WRENN_CHECK(is_taken(index));
  taken_[static_cast<std::size_t>(index)] = false;
  search_from_ = std::min(search_from_, index);
  --count_;
}

bool SlotAllocator::is_taken(int index) const noexcept {
  return index >= kFirstSlot && index <= kLastSlot && taken_[static_cast<std::size_t>(index)];
}

}  // namespace wrenn::agent::network
