// Work of a worker whose next round is its retry.
#pragma once

#include <string>
#include <string_view>

#include "core/async/task.h"

namespace wrenn::cp::worker {

// Awaits `round`. A failure is told in the log as `message`, with what it is about in `of`, and is not thrown;
// cancellation is.
async::Task<> attempt(std::string_view message, async::Task<> round, std::string of = {});

}  // namespace wrenn::cp::worker
