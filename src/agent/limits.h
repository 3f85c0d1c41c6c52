// The agent's own limits: each has a name, a unit and this one home. Those of a mechanism (vmm/, disk/,
// network/) stand in that folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace wrenn::agent::limits {

using namespace std::chrono_literals;

// Guest start (spec/vm.md §2, §8).
// From the VMM's start to envd's first answer; under TCG a busy machine boots ten times slower than an idle
// one.
// A nested guest on a host that is itself emulated and busy takes 28 s [measured in tests/lab]; the control plane waits 240 s.
inline constexpr auto kGuestReady = 60s;
inline constexpr auto kGuestReadyEmulated = 75s;
inline constexpr auto kBootTurn = 120s;        // a cold boot waits so long for its turn before it is refused
inline constexpr auto kGuestInit = 30s;        // the /init call after it, with a limit of its own
inline constexpr auto kHealthInterval = 10ms;  // between two tries while the guest boots
inline constexpr auto kHealthTry = 1s;         // one try: a SYN into a booting guest may be lost
inline constexpr std::uint64_t kHealthAnswerBytes = 4096;
// One connect: shorter than TCP's first retransmission, so that the next try comes sooner; longer the longer
// the guest has taken already, since a slow machine also answers slowly.
inline constexpr auto kHealthConnectMin = 50ms;
inline constexpr auto kHealthConnectMax = 1s;

// Pause (spec/hostagent.md §7.1).
inline constexpr auto kDrain = 2s;    // what is in flight when a pause begins may end by itself for this long
inline constexpr auto kPause = 300s;  // a whole pause
inline constexpr auto kPauseAll = 120s;  // all sandboxes when the agent ends with on_exit = pause
inline constexpr int kPauseAllParallel = 2;

// What was made from other sandboxes, and what it is made from.
inline constexpr auto kCollectInterval = 5s;  // between two looks for layers that nothing names
inline constexpr auto kHoldUsers =
    1s;  // the guest's answer when its users' programs are to stop for a moment
inline constexpr auto kIntroduction = 30s;       // a request waits so long for a new clone to know who it is
inline constexpr std::size_t kGoldensKept = 16;  // whose memory is kept at hand while no sandbox uses it
inline constexpr auto kGoldenRetry = 60s;        // after a failure to make one; sandboxes boot meanwhile
inline constexpr std::chrono::milliseconds kWarmUp = 10s;  // the first program in it
inline constexpr auto kGoldenSettle = 300ms;       // after the guest's first answer, before it is frozen
inline constexpr std::size_t kForkChildren = 100;  // of one call
inline constexpr std::size_t kCheckpointName = 64;
// Files below a disk: each is an open file of the VMM (RLIMIT_NOFILE is 1024) and a step of each read. Above
// the first number they are merged beside the running guest; at the second nothing is put on top any more.
inline constexpr std::size_t kDiskLayersMerge = 16;
inline constexpr std::size_t kDiskLayersMax = 128;
inline constexpr auto kDiskMergeLook = 2s;
inline constexpr auto kDiskMergeRetry = 60s;  // after a merge: it may have failed
// Children share what they inherit only if it is made a base of its own, which costs a copy of all memory.
// From so much on, per child, that is cheaper than writing the pages into each.
inline constexpr std::uint64_t kForkMergeBytes = 256ULL << 20;

// Sandboxes looked after at once when the agent starts: a guest that does not answer must not hold up the
// others.
inline constexpr int kRecoverParallel = 8;

// Spare machines (sandbox/spares.h).
inline constexpr std::size_t kSpareKinds = 2;   // sizes or templates that share them
inline constexpr auto kSparePause = 250ms;      // after a create: longer than one takes, with its first program
inline constexpr auto kSpareRetry = 10s;        // after a failure, or while there is no room
inline constexpr std::uint64_t kSpareMemoryBytes = 2ULL << 30;  // available on the host, below which none is made

// Network slots kept ready (sandbox/slot_pool.h).
inline constexpr auto kSlotRefillPause = 50ms;               // after a take; about as long as a create
inline constexpr std::chrono::seconds kSlotRetryFirst = 5s;  // after a failure to make one; doubles
inline constexpr std::chrono::seconds kSlotRetryMax = 60s;
inline constexpr auto kSlotClose = 10s;  // for taking them down when the agent ends

// Inactivity.
inline constexpr auto kReaperTick = 500ms;
inline constexpr auto kTtlRetryFirst = 5s;  // after a failed automatic pause; doubles
inline constexpr auto kTtlRetryMax = 300s;
inline constexpr std::int64_t kTimeoutSecondsMax = 10LL * 365 * 24 * 3600;

inline constexpr std::chrono::milliseconds kChangesWaitMax = 300s;  // of a call that waits for one

// Commands waiting for one sandbox; more means a client that does not wait for answers.
inline constexpr std::size_t kMailbox = 64;

// Metrics of a sandbox (spec/vm.md §7; 5 s instead of 500 ms: a sample asks the guest) and of the host.
inline constexpr auto kSampleInterval = 5s;
inline constexpr auto kSampleFirst = 1s;  // after a start, also the agent's: graphs should not be empty for long
inline constexpr auto kSampleTimeout = 2s;  // the guest's answer
inline constexpr std::uint64_t kSampleAnswerBytes = 16 * 1024;

// Sizes of a sandbox. The upper ends only keep nonsense out; the scheduler decides what fits.
inline constexpr int kVcpusMax = 64;
inline constexpr std::int64_t kMemoryMinMib = 64;
inline constexpr std::int64_t kMemoryMaxMib = 1024 * 1024;
inline constexpr std::int64_t kDiskMaxMib = 16LL * 1024 * 1024;

// Free space below which no sandbox is created: those that run need it more. A guest that boots writes some
// tens of MiB.
inline constexpr std::uint64_t kDiskReserveBytes = 512ULL << 20;

// The last of the host's disk is for those who must write down that it is full: journal, database, log. Nothing
// large (a snapshot, a copy of a disk, room taken ahead for one) is written into it.
inline constexpr std::uint64_t kDiskLeaveBytes = 64ULL << 20;

// Looks at the room for a sandbox's disk. With less than kDiskScarceBytes free they are frequent enough that a guest would
// have to write 640 MB/s to outrun them (64 MiB in 100 ms, disk/dm_snapshot.h); with more, all guests together 16 GiB in a
// second. While a machine stands still for want of room, an operation that fails lets it run on until the next look.
inline constexpr std::uint64_t kDiskScarceBytes = 16ULL << 30;
inline constexpr std::chrono::milliseconds kDiskLook = 1s;
inline constexpr std::chrono::milliseconds kDiskLookScarce = 100ms;
inline constexpr std::chrono::milliseconds kDiskLookStopped = 250ms;

inline constexpr std::uint64_t kJournalRecordBytes = 1024 * 1024;
inline constexpr std::size_t kConsoleTailBytes = 2048;  // of the console in the reason of a VMM's end
inline constexpr std::size_t kReasonBytes = 4096;       // of a failure's text that is kept and reported

// Ports of guests (spec/e2b/control-api.md §2; dial: spec/hostagent.md §9).
inline constexpr int kPortDialTries = 5;       // a program that was just started is not listening yet …
inline constexpr auto kPortDialPause = 100ms;  // … after the first try, then twice, thrice, … as long
inline constexpr auto kPortConnect = 5s;       // one try at a guest that does not say no either
inline constexpr std::chrono::seconds kPortHead = 620s;  // for the head of an answer: a long poll is no error
inline constexpr int kSandboxRequests = 1000;  // inside one sandbox at once, before strangers are turned away
// The control plane adds this much to a request it has accepted.
inline constexpr std::size_t kAddedHeadBytes = 4096;
inline constexpr std::size_t kAddedFields = 16;

inline constexpr std::uint64_t kRpcBodyBytes = 1024 * 1024;
inline constexpr auto kShutdownGrace = 5s;  // for requests under way when the agent ends
inline constexpr std::size_t kSysThreads = 8;

}  // namespace wrenn::agent::limits
