// Limits of the database layer.
#pragma once

#include <chrono>
#include <cstddef>

namespace wrenn::db::limits {

using namespace std::chrono_literals;

inline constexpr std::chrono::milliseconds kBusyTimeout = 5s;  // wait for another process's lock
inline constexpr std::size_t kReadThreads = 2;                 // = reading connections of a SQLite database
inline constexpr std::size_t kPreparedStatements = 256;        // kept per connection
inline constexpr int kPageCacheKib = 2048;                     // per connection

// A database that has refused no write for want of room for so long, and then takes one, has room again. Where little
// is left, some writes find it and others do not.
inline constexpr std::chrono::seconds kRoomAgain = 10s;

// Leases: a machine that is lost leaves its work undone for the first and the third together.
inline constexpr std::chrono::milliseconds kLeaseTime = 20s;
inline constexpr std::chrono::milliseconds kLeasePause =
    1s;  // between the end of a work and its next beginning
inline constexpr std::chrono::milliseconds kLeaseRetry = 2s;  // of those who wait; they are also told

// PostgreSQL.
// Connections of a process. More readers only take the processors from each other and from the server: with
// 8 of them on 2 processors beside it, the slowest hundredth of reads took longer [measured].
inline constexpr std::size_t kPostgresReadThreads = 4;
inline constexpr std::size_t kPostgresWriteThreads = 8;
inline constexpr std::chrono::seconds kConnectTimeout = 5s;  // for each address of the host
inline constexpr std::chrono::seconds kPeerSilence = 10s;    // a server that is gone without a word
// Between two questions to a server that has been silent for almost as long.
inline constexpr std::chrono::seconds kPeerProbe = 2s;
inline constexpr std::chrono::seconds kStatementTimeout = 30s;
inline constexpr int kConflictAttempts = 12;
inline constexpr std::chrono::milliseconds kConflictPause = 2ms;  // times 1 … the number of the attempt
inline constexpr std::chrono::milliseconds kListenRetry = 100ms;  // doubled with each failure up to …
inline constexpr std::chrono::milliseconds kListenRetryMost = 5s;
inline constexpr std::size_t kNotificationBytes =
    7999;  // channel, space and payload (postgresql.org, NOTIFY)

}  // namespace wrenn::db::limits
