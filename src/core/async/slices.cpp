#include "core/async/slices.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <vector>

namespace wrenn::async {

void run_slices(std::uint64_t count, SliceOptions options,
                const std::function<void(std::uint64_t first, std::uint64_t end)>& work) {
  const std::uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::uint64_t most = std::min(cores, options.max_threads);
  const std::uint64_t slices = std::clamp(count / options.at_least, std::uint64_t{1}, most);
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(slices));
  const auto run = [&](std::uint64_t slice) {
    try {
      work(count * slice / slices, count * (slice + 1) / slices);
    } catch (...) {
      failures[static_cast<std::size_t>(slice)] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::uint64_t slice = 1; slice < slices; ++slice) others.emplace_back(run, slice);
    run(0);
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace wrenn::async
