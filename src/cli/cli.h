// The command line: every command, those that start a role included.
#pragma once

namespace wrenn::cli {

// Parses and runs; prints errors to standard error. Returns the exit code: the guest's own for `run` and `exec`, 125
// for failures of wrenn itself around them (as docker does), 2 for a wrong command line, 1 otherwise.
int run(int argc, const char* const* argv);

}  // namespace wrenn::cli
