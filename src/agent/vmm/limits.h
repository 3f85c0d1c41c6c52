// Limits of the VMM drivers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace wrenn::agent::vmm::limits {

using namespace std::chrono_literals;

inline constexpr auto kStartTimeout =
    20s;  // exec to the control socket's greeting: dynamic linking from a cold disk
inline constexpr auto kCommandTimeout = 10s;  // a command that only changes state
inline constexpr auto kPauseTimeout = 60s;    // stop flushes the disk, which may have much to write
inline constexpr auto kLoadTimeout = 30s;     // loading the state of devices
inline constexpr auto kStopTimeout = 20s;     // SIGKILL to gone: the kernel frees the guest's memory first
inline constexpr auto kVersionTimeout = 10s;  // `qemu --version`

// A merge takes so much of the host's disk from those who work.
inline constexpr std::int64_t kMergeBytesPerSecond = 64LL << 20;

inline constexpr std::size_t kQmpLineBytes = 1024 * 1024;  // one message; the largest is the console, escaped
// query-block tells the files below a disk one inside the other: agent/limits.h says how many there may be.
inline constexpr int kQmpDepth = 256;
inline constexpr std::size_t kQmpPending = 16;           // commands without an answer yet
inline constexpr std::size_t kConsoleBytes = 64 * 1024;  // ring in the VMM; a power of two
inline constexpr std::size_t kStderrBytes = 16 * 1024;   // what the VMM itself may print
inline constexpr std::size_t kErrorBytes = 2048;         // of that in a message of ours

// Does it hang? It answers within milliseconds. It is asked so often, and then for so many slices of time
// before it is given up: together, with the end of the process, at most 2 s. A slice in which our own loop
// was late by as much again does not count. A VMM of which any thread wants a CPU, or waits for the host's
// disk, gets the longer patience.
inline constexpr auto kProbeInterval = 500ms;
inline constexpr auto kProbeSlice = 100ms;
inline constexpr int kProbeSlices = 10;
inline constexpr int kProbeSlicesBusy = 150;
// After a restart of the agent, connecting to a machine that lives: longer than both of the above for one
// that is busy, because whoever does not answer then is ended.
inline constexpr auto kAdoptTimeout = 15s;

inline constexpr auto kProbeTimeout = 4s;  // a kernel boots under KVM in a quarter of a second, nested in one

// User ids of VMM processes: this plus the network slot's index. Above the ranges of distributions and of
// systemd (systemd.io/UIDS-GIDS, which ends at 1879048191), below 2^31.
inline constexpr std::uint32_t kFirstUid = 2'003'828'736;

}  // namespace wrenn::agent::vmm::limits
