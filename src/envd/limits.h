// The limits of envd; each has a name, a unit and this one home. The guest's memory belongs to its user:
// envd's own share stays small and does not grow with what is asked of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace wrenn::envd::limits {

using namespace std::chrono_literals;

// Requests.
inline constexpr std::uint64_t kRpcBodyBytes = 4 * 1024 * 1024;     // any unary request but SendInput
inline constexpr std::uint64_t kInputBodyBytes = 16 * 1024 * 1024;  // SendInput: 12 MiB of input in base64
inline constexpr std::uint64_t kInitBodyBytes = 1024 * 1024;
inline constexpr std::size_t kPathBytes = 4095;              // PATH_MAX of Linux without the final NUL
inline constexpr std::size_t kEnvVariables = 4096;           // of one process or of the defaults
inline constexpr std::size_t kUserNameBytes = 256;           // useradd allows 32; longer ones are no names
inline constexpr std::size_t kTokenBytes = 4096;             // access token
inline constexpr std::size_t kHostNameBytes = 64;            // HOST_NAME_MAX of Linux
inline constexpr std::size_t kHostsFileBytes = 1024 * 1024;  // /etc/hosts
inline constexpr std::size_t kEntropyBytes = 512;            // seed from the host
// A refused body is read away up to here, so that its sender gets to read why.
inline constexpr std::uint64_t kDrainBytes = 64 * 1024 * 1024;
inline constexpr auto kDrainTime = 10s;

// Processes.
inline constexpr std::size_t kProcesses = 1024;  // alive at a time
// Whose end can still be asked for: some 150 bytes each. More than 270 ends a second for a minute on end
// shorten the time.
inline constexpr std::size_t kFinishedProcesses = 16'384;
inline constexpr std::size_t kFinishedOutputs = 32;  // whose last output can be too
inline constexpr auto kFinishedKeep = 60s;           // and for this long (spec: at least 30 s)
inline constexpr std::size_t kSubscribers = 64;      // streams attached to one process
inline constexpr std::size_t kTagBytes = 1024;
inline constexpr std::size_t kOutputLogBytes = 256 * 1024;  // of a process that waits for its slowest reader
inline constexpr std::size_t kOutputLogChunks = 4096;       // the same; programs may write single bytes
// Of what has been read, this much stays for a client that reconnects; less when many processes run, so that
// all together stay in the order of kReplayTotalBytes.
inline constexpr std::size_t kReplayBytes = 64 * 1024;
inline constexpr std::size_t kReplayBytesMin = 4 * 1024;
inline constexpr std::size_t kReplayTotalBytes = 4 * 1024 * 1024;
inline constexpr std::size_t kReplayChunks = 1024;
inline constexpr std::size_t kPipeChunkBytes = 32 * 1024;  // one data event from a pipe (spec/envd.md §10.1)
inline constexpr std::size_t kPtyChunkBytes = 16 * 1024;   // one data event from a terminal
inline constexpr auto kKeepaliveDefault = 90s;
inline constexpr auto kKeepaliveMin = 1s;
inline constexpr auto kKeepaliveMax = 600s;
inline constexpr auto kLifetimeMax = std::chrono::hours(24 * 365);  // a longer Connect-Timeout-Ms is no limit
inline constexpr auto kKillNowWait = 200ms;  // the loop waits for a child that nobody can look after
inline constexpr auto kKillWait = 5s;        // from SIGKILL at shutdown until we stop waiting for the end
inline constexpr std::uint64_t kChildDescriptors = 1024;  // soft limit of a process, as login shells have

// Files.
inline constexpr std::size_t kTransferBytes = 256 * 1024;  // one read or write of /files; two are in flight
inline constexpr std::size_t kDirectAlignBytes = 4096;  // place and size of direct writes; disks want 512 or 4096
inline constexpr std::size_t kListEntries = 50'000;          // of one ListDir
inline constexpr std::size_t kListBytes = 12 * 1024 * 1024;  // its JSON; clients refuse more than 16 MiB
inline constexpr std::uint32_t kListDepth = 256;             // deeper is refused, so recursion is bounded
inline constexpr int kSymlinks = 40;                         // as the kernel
inline constexpr auto kCopyTime = 10min;                     // a move from one file system to another
inline constexpr std::size_t kPackedReadBytes = 64 * 1024;   // of a compressed upload at a time
inline constexpr std::size_t kComposeSources = 10'000;       // files of one /files/compose

// Ports (spec/envd.md §12: reachable within 1 s of the listen).
inline constexpr auto kPortScan = 500ms;    // between two looks while programs of users run
inline constexpr auto kPortScanIdle = 30s;  // otherwise
inline constexpr std::size_t kForwardedPorts = 128;
inline constexpr std::size_t kForwardedConnections = 512;        // over all ports
inline constexpr auto kForwardConnect = 5s;                      // to the program itself
inline constexpr std::size_t kSocketTableBytes = 1024 * 1024;    // of /proc/net/tcp: some 6,800 listeners
inline constexpr std::size_t kSocketTableReadBytes = 16 * 1024;  // one read of it

// Metadata of files. The first two are the protocol's (spec/e2b/envd-api.md §2.2): 246 is what Linux allows a name of
// an attribute, 255 (XATTR_NAME_MAX), without "user.e2b."; 4096 is what an inode of ext4 has room for.
inline constexpr std::size_t kMetadataKeyBytes = 246;
inline constexpr std::size_t kMetadataBytes = 4096;        // keys with their prefix, and values
inline constexpr std::size_t kAttributeBytes = 16 * 1024;  // read of one file, whoever set them

// Watched directories. The kernel's default allows a user 128 watchers (fs.inotify.max_user_instances). A directory
// takes some 250 bytes here and 1 KiB in the kernel.
inline constexpr std::size_t kWatchers = 100;
inline constexpr std::size_t kWatchedDirectories = 65'536;  // of all watchers
inline constexpr std::size_t kWatchReadBytes = 64 * 1024;  // of the kernel's queue at a time
// That one read may become, by trees moved in; as the kernel's own queue (fs.inotify.max_queued_events).
inline constexpr std::size_t kWatchBatchEvents = 16'384;
inline constexpr std::size_t kWatcherQueueBytes = 4 * 1024 * 1024;      // JSON kept for a client that polls
inline constexpr std::size_t kAllWatcherQueueBytes = 16 * 1024 * 1024;  // … for all of them
inline constexpr auto kWatcherIdle = 10min;  // a watcher that nobody asked for so long makes room for another
inline constexpr auto kWatcherSettle = 30s;  // a poll waits so long for what the kernel had ready when it came

// Machine.
inline constexpr std::uint64_t kOwnDescriptors = 65'536;  // some six per process, one per connection
inline constexpr std::size_t kFileThreads = 3;            // for calls on files, which may block
inline constexpr std::size_t kSpawnThreads = 2;  // of their own: a file system that hangs must leave a way in
inline constexpr auto kCpuSampleFresh = 500ms;   // a younger sample is answered again
inline constexpr auto kCpuSampleOld = 30s;       // an older one says nothing about now
inline constexpr auto kCpuSampleWait = 100ms;    // between two samples when there was no usable one
inline constexpr auto kClockTolerance = 50ms;    // a smaller difference to the host's clock stays
inline constexpr auto kHostKeysTime = 120s;      // ssh-keygen -A; an RSA key takes long under emulation
inline constexpr auto kStopGrace = 2s;           // for running requests after SIGTERM
// Kept from user processes: this share of the machine, but not more than so many bytes.
inline constexpr std::uint64_t kAgentMemoryShare = 8;  // an eighth
inline constexpr std::uint64_t kAgentMemoryBytes = 128 * 1024 * 1024;
// envd's own group, as E2B runs it (spec/e2b/envd-guest.md §1).
inline constexpr unsigned kAgentCpuWeight = 1000;
inline constexpr std::uint64_t kAgentMemoryMin = 50 * 1024 * 1024;
inline constexpr std::uint64_t kAgentMemoryLow = 100 * 1024 * 1024;

// Snapshots (spec/e2b/envd-guest.md §3.4).
inline constexpr auto kFreezeWait = 2s;  // for all that users run to stop
inline constexpr auto kFreezePoll = 2ms;
inline constexpr auto kFreezeMax = 10min;  // guest time; then the host has forgotten us and users go on
inline constexpr auto kFsFreezeMax = 60s;  // the same, for the file system
// An /init that is older than the last one by less than this was overtaken by it; by more, the host's clock
// was set back.
inline constexpr auto kInitReorder = 60s;

}  // namespace wrenn::envd::limits
