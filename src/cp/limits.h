// Limits of the control plane: sizes of requests, deadlines of operations, periods of workers.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "api/limits.h"
#include "core/base/limits.h"

namespace wrenn::cp::limits {

using namespace std::chrono_literals;

// Capsules. The maxima are defaults; an operator changes them in the configuration.
inline constexpr std::int64_t kDefaultVcpus = 1;
inline constexpr std::int64_t kDefaultMemoryMb = 512;
inline constexpr std::int64_t kMemoryMbMin = 128;  // below it a distribution's kernel and init do not fit
inline constexpr std::int64_t kMaxVcpus = 32;
inline constexpr std::int64_t kMaxMemoryMb = 65'536;
inline constexpr std::int64_t kDiskSizeMb = 5120;                 // of every capsule (spec/rest-api.md §5.1)
inline constexpr std::int64_t kIdleTimeoutSecMax = 365 * 86'400;  // timeout_sec

// How long create and resume wait before they answer with a transient status. The Python SDK gives up after 5
// s and polls a capsule that is `starting`; `Prefer: wait=N` asks for another time.
inline constexpr std::chrono::milliseconds kAnswerWithin = 4500ms;
inline constexpr std::chrono::seconds kPreferWaitMax = 300s;

inline constexpr std::int64_t kForkChildren = 100;  // of one call (E2B's bound, spec/e2b/control-api.md §5.7)
// Metadata that users give their capsules; it stands in every answer and list.
inline constexpr std::size_t kMetadataEntries = 32;
inline constexpr std::size_t kMetadataNameBytes = 64;
inline constexpr std::size_t kMetadataValueBytes = 512;

// Requests.
inline constexpr std::uint64_t kUploadBytes = 100 * 1024 * 1024;     // files/write: the whole body
inline constexpr std::uint64_t kUploadSlackBytes = 64 * 1024;        // multipart heads around the file
inline constexpr std::uint64_t kUploadSpoolBytes = 4 * 1024 * 1024;  // a file part that comes before its path
inline constexpr std::size_t kGuestPathBytes = 4096;                 // PATH_MAX of the guest

// Capsules whose JSON is kept for lists; about 400 bytes each.
inline constexpr std::size_t kCapsuleTexts = 20'000;

// Exec.
inline constexpr std::chrono::seconds kExecTimeout = 30s;  // of a foreground command without timeout_sec
inline constexpr std::chrono::seconds kExecTimeoutMax = 86'400s;
inline constexpr std::chrono::seconds kExecMargin = 10s;  // for the answer beyond the command's own time
inline constexpr std::size_t kExecOutputBytes =
    16 * 1024 * 1024;  // stdout and stderr together, held in memory
// The same of all foreground commands that run at once, and of those of one team. To send it takes as much
// again and more.
inline constexpr std::size_t kExecHeldBytes = 512 * 1024 * 1024;
inline constexpr std::size_t kExecHeldBytesOfTeam = 128 * 1024 * 1024;

// WebSockets.
inline constexpr std::chrono::seconds kAuthMessageTimeout = 5s;
inline constexpr std::chrono::seconds kStartMessageTimeout =
    60s;  // until the first message of an open stream
inline constexpr std::chrono::seconds kPtyPing = 30s;
inline constexpr std::size_t kPtyQueue = 64;               // client messages waiting for the guest
inline constexpr std::size_t kPtyInputBytes = 256 * 1024;  // inputs joined into one call
inline constexpr std::size_t kClientMessageBytes = 1024 * 1024;
inline constexpr std::chrono::seconds kPtyCall = 5s;  // one input, resize or kill

// Gateway to ports of guests. Each hop waits longer than the one before it, so that the nearest one answers.
inline constexpr std::chrono::seconds kGatewayHead = 610s;
inline constexpr std::chrono::seconds kGatewayKnownFor =
    2s;  // where a capsule is, without asking the database
inline constexpr std::size_t kGatewayKnown = 10'000;
inline constexpr std::chrono::seconds kGatewayGrace = 2s;  // for what runs when the control plane ends

// Bodies of requests that are read as a whole, before their handlers are asked.
struct BodyLimits {
  std::uint64_t bytes;
  std::chrono::seconds time;  // until it is complete
};
inline constexpr std::chrono::seconds kBodyTime = 60s;
inline constexpr BodyLimits kBodyOfCaller{wrenn::limits::kJsonBodyBytes, kBodyTime};
// Who has not shown yet who he is needs an address, a password and a name.
inline constexpr BodyLimits kBodyOfStranger{16 * 1024, kBodyTime};

// Credentials.
inline constexpr std::chrono::seconds kCredentialCacheTtl = 10s;
inline constexpr std::size_t kCredentialCacheEntries = 10'000;
inline constexpr std::chrono::seconds kCredentialUsedPeriod = 60s;  // last_used and used_at are at most this old
inline constexpr std::chrono::seconds kCredentialCheckPeriod = 15s;  // of streams, beside what is announced
inline constexpr std::chrono::hours kSessionIdle = 24h * 7;      // a session that is not used ends
inline constexpr std::chrono::hours kSessionLifetime = 24h * 30;  // and any session, after its sign-in
inline constexpr std::size_t kPasswordThreads = 2;                // hashes at once; 16 MiB each

// Accounts (spec/rest-api.md §1.3, §2.1, data-model.md §5).
inline constexpr std::chrono::minutes kActivationLife = 30min;
inline constexpr std::chrono::minutes kSignupCooldown = 30min;  // until the same address may sign up anew
inline constexpr std::chrono::minutes kPasswordResetLife = 15min;
inline constexpr std::chrono::minutes kOauthLife = 10min;  // to the provider and back
inline constexpr std::size_t kOauthThreads = 2;            // questions to providers at once
inline constexpr std::chrono::hours kPurgeAfter = 24h * 15;  // a deleted account
// Before a mail is tried again that the server did not take yet, or that did not reach it: greylisting wants minutes.
inline constexpr std::array<std::chrono::milliseconds, 3> kMailPauses{5s, 1min, 4min};
inline constexpr std::int64_t kAdminPageRows = 100;
inline constexpr std::int64_t kUserSearchRows = 10;
inline constexpr std::int64_t kAuditRows = 50, kAuditRowsMax = 200;

// Attempts at credential routes: how many at once, then one every so often.
inline constexpr int kAddressBurst = 20;  // by one network address
inline constexpr std::chrono::milliseconds kAddressPeriod = 3s;
inline constexpr int kAccountBurst = 10;  // at one account, from wherever
inline constexpr std::chrono::milliseconds kAccountPeriod = 30s;
inline constexpr int kMailBurst = 3;  // mails to one address that anybody can ask for
inline constexpr std::chrono::milliseconds kMailPeriod = 5min;
inline constexpr std::size_t kRateLimiterKeys = 100'000;

// Deadlines of transient states: the agent call's own time and a margin. Past them the reconciler decides.
inline constexpr std::chrono::seconds kAgentMargin = 30s;
inline constexpr std::chrono::seconds kStartingDeadline = api::limits::kAgentCreate + kAgentMargin;
inline constexpr std::chrono::seconds kForkingDeadline = api::limits::kAgentFork + kAgentMargin;
inline constexpr std::chrono::seconds kSnapshotDeadline = api::limits::kAgentPause + kAgentMargin;
inline constexpr std::chrono::seconds kPausingDeadline = api::limits::kAgentPause + kAgentMargin;
inline constexpr std::chrono::seconds kResumingDeadline = api::limits::kAgentResume + kAgentMargin;
inline constexpr std::chrono::seconds kStoppingDeadline = api::limits::kAgentDestroy + kAgentMargin;

// Reconciler (spec/hostagent.md §8).
inline constexpr std::chrono::seconds kReconcilePeriod = 15s;
inline constexpr std::chrono::seconds kHostLost =
    90s;  // without an answer: unreachable, its capsules missing
inline constexpr std::chrono::seconds kSettleGrace = 5s;  // a transient row this young belongs to somebody
inline constexpr std::chrono::seconds kAttendancePeriod = 2s;  // in which who works on one says so again
inline constexpr std::chrono::seconds kUnsettledPeriod = 1s;  // between rounds while such a row is nobody's here
// Between a failure that leaves a row to the reconciler and its round, and between two rounds that were asked for: what
// happens at once becomes one round.
inline constexpr std::chrono::milliseconds kWakeDelay = 500ms;
inline constexpr std::chrono::milliseconds kChangesPause = 50ms;  // between two calls for news of a host
// After a call for news of a host that failed; of one that does not know it, an older version.
inline constexpr std::chrono::milliseconds kChangesRetry = 1s;
inline constexpr std::chrono::milliseconds kChangesRetryUnknown = 60s;
inline constexpr std::chrono::seconds kFirstRoundTimeout = 10s;  // start-up waits so long for the host's word
inline constexpr std::chrono::seconds kOrphanGrace = 60s;        // a capsule on a host that no row knows
inline constexpr std::chrono::seconds kFailedKept =
    3600s;  // a failed capsule that once ran stays on its host
inline constexpr std::chrono::seconds kTemplateSyncPeriod = 60s;
inline constexpr std::chrono::seconds kTemplateSyncFloor = 1s;  // between two that requests asked for

// The copy of events in Redis: about so many are kept there (spec/data-model.md §3).
inline constexpr std::uint64_t kRedisEntries = 10'000;
inline constexpr std::size_t kRedisBatch = 200;
inline constexpr std::chrono::milliseconds kRedisRetryMin = 500ms, kRedisRetryMax = 30s;

// Idempotency-Key: how long a first request is taken for under way, and how long its answer is kept.
inline constexpr std::chrono::seconds kIdempotencyClaim = kStartingDeadline;
inline constexpr std::chrono::hours kIdempotencyKept = 24h;

// Housekeeping.
inline constexpr std::chrono::seconds kHousekeepingPeriod = 60s;
inline constexpr std::chrono::milliseconds kHousekeepingPause = 200ms;  // between rounds that were asked for

// Usage and figures of teams (spec/rest-api.md §5.4, data-model.md §8).
inline constexpr std::int64_t kUsageDays = 30, kUsageDaysMax = 92;  // of one answer
inline constexpr std::chrono::minutes kUsageSettles = 10min;        // until a day that is over is summed up
inline constexpr std::chrono::hours kUsageRunsKept = 24h * 100;     // when a run ended
inline constexpr std::chrono::minutes kUsageRollupPeriod = 15min;
inline constexpr std::chrono::seconds kTeamSamplePeriod = 10s;
inline constexpr std::chrono::seconds kTeamMaximaPeriod = 720s;
inline constexpr std::chrono::hours kTeamSamplesKept = 24h;  // of every 10 s: the longest range they serve
inline constexpr std::chrono::hours kTeamMaximaKept = 24h * 60;
inline constexpr std::chrono::hours kTeamPeaksOf = 24h * 30;
inline constexpr std::chrono::hours kTeamQuiet = 24h;  // so long a team is noted after its last capsule
inline constexpr std::chrono::hours kSandboxMetricsKept = 24h * 30;
inline constexpr std::chrono::milliseconds kMetricsKeeping = 2s;  // fetching them beside an operation
inline constexpr std::int64_t kPruneRows = 1000;                  // of one statement

inline constexpr std::chrono::seconds kShutdownGrace = 30s;

}  // namespace wrenn::cp::limits
