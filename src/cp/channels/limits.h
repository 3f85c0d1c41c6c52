// Limits of notification channels and of the stream of events.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace wrenn::cp::channels::limits {

using namespace std::chrono_literals;

// What teams give.
inline constexpr std::size_t kConfigEntries = 16;
inline constexpr std::size_t kConfigNameBytes = 64;
inline constexpr std::size_t kConfigValueBytes = 2048;
inline constexpr std::size_t kChannelsOfTeam = 100;
inline constexpr std::size_t kSecretBytes = 32;  // of a webhook's secret that we make; twice as many digits

// Delivery (seeds/000, "Webhook delivery"): attempts at 0, +10 s, +30 s, each of 10 s at most.
inline constexpr std::chrono::milliseconds kAttemptTimeout = 10s;
inline constexpr std::chrono::milliseconds kFirstRetry = 10s;
inline constexpr std::chrono::milliseconds kSecondRetry = 30s;
inline constexpr std::int64_t kRefusals =
    3;  // attempts that reached the receiver and failed: then it is dead
inline constexpr std::chrono::milliseconds kUnreachableFor = 24h;  // a receiver that nobody reaches
inline constexpr std::size_t kAnswerBytes = 4 * 1024;              // read of an answer; nothing in it counts
inline constexpr std::size_t kErrorBytes = 500;                    // kept of why an attempt failed

inline constexpr std::size_t kTakenInAtOnce = 200;   // events made into deliveries by one transaction
inline constexpr std::size_t kAtOncePerChannel = 8;  // deliveries of one channel under way
inline constexpr std::size_t kAtOnce = 32;           // … and of all: threads of the HTTP client
// Tests of channels have threads of their own: whoever tries one that does not answer holds up no delivery.
inline constexpr std::size_t kTestsAtOnce = 8;
inline constexpr std::size_t kTestsOfTeam = 2;  // under way
inline constexpr std::chrono::milliseconds kRoomRetry = 1s;   // between attempts to write into a full database
inline constexpr std::chrono::milliseconds kLookAgain = 15s;  // for what nobody told of
inline constexpr std::size_t kDeliveriesPage = 50, kDeliveriesPageMost = 200;

inline constexpr std::size_t kMessageBytes = 1900;  // Discord takes 2000 characters, the least of all

// The stream.
inline constexpr std::chrono::milliseconds kRetention = 24h * 7;
inline constexpr std::chrono::milliseconds kTrimPeriod = 10min;
inline constexpr std::int64_t kTrimmedAtOnce = 1000;

// Listeners (server-sent events).
inline constexpr std::size_t kListeners = 10'000;     // of a process
inline constexpr std::size_t kListenerBacklog = 256;  // events that wait for a slow one; then it is cut
inline constexpr std::size_t kReadAtOnce = 200;       // events of one query
inline constexpr std::chrono::milliseconds kHeartbeat = 15s;
inline constexpr std::chrono::milliseconds kReconnect = 3s;  // what listeners are told to wait

}  // namespace wrenn::cp::channels::limits
