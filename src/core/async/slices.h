// Blocking work on a pool's thread that is worth more than one core.
#pragma once

#include <cstdint>
#include <functional>

namespace wrenn::async {

struct SliceOptions {
  std::uint64_t at_least = 1;     // a thread gets no fewer than so many
  std::uint64_t max_threads = 4;  // with the caller's
};

// Cuts 0…count into one slice for each core and calls `work(first, end)` for all at the same time: on the
// caller's thread and on others that have ended when this returns. `work` must bear that. Blocks. When some
// throw, the first slice's exception is rethrown. Throws std::system_error when no thread can be made.
void run_slices(std::uint64_t count, SliceOptions options,
                const std::function<void(std::uint64_t first, std::uint64_t end)>& work);

}  // namespace wrenn::async
