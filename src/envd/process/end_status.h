// How the end of a process is told to clients.
#pragma once

#include "api/envd.h"
#include "linux/process.h"

namespace wrenn::envd::process {

// exitCode 3, exited, status and error "exit status 3"; or exitCode -1, not exited, "signal: killed". The
// texts are those of Go's os.ProcessState, which clients of the protocol show and compare
// (spec/e2b/envd-api.md §4.2).
api::envd::EndEvent end_event(const sys::ExitStatus& status);

}  // namespace wrenn::envd::process
