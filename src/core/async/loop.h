// The loop thread of a role: one io_context, its signals and its watchdog.
#pragma once

#include <functional>
#include <string>

#include "core/async/task.h"

namespace wrenn::async {

// Runs `main_task` on a new io_context on the calling thread until it ends; rethrows its exception. Turns of
// the loop longer than limits::kLoopLag are logged with `name`.
// Watching costs four wake-ups a second; without `watch` an idle process sleeps.
void run_loop(const std::string& name, std::function<Task<>()> main_task, bool watch = true);

// Waits for SIGINT or SIGTERM and returns the signal's number. A second signal while the first is being
// handled ends the process at once with 128 + number.
Task<int> wait_for_stop_signal();

}  // namespace wrenn::async
