// Runs a short-lived program to its end, with a deadline, and gives what it printed. For tools that have no
// kernel or library interface (nft, e2fsck, resize2fs); never on the path of creating a sandbox where a
// system call would do.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "linux/process.h"

namespace wrenn::sys {

struct CommandResult {
  ExitStatus status;
  std::string output;  // the first `max_output_bytes` of each
  std::string error;
};

// `options`' standard descriptors are replaced: `input` is its stdin. Blocks the calling thread. Throws
// SystemError if it cannot be started, and Error(deadline_exceeded) after killing it, with its process group,
// when time is over.
CommandResult run_command(SpawnOptions options, std::string_view input, std::chrono::milliseconds timeout,
                          std::size_t max_output_bytes = 64 * 1024);

}  // namespace wrenn::sys
