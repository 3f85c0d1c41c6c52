// The limits of the core library; each has a name, a unit and this one home. Limits of a role stand in that
// role's own limits.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace wrenn::limits {

using namespace std::chrono_literals;

// HTTP, server and client.
inline constexpr std::size_t kHttpHeadBytes = 64 * 1024;    // request or status line and all header fields
inline constexpr std::size_t kHttpHeaderCount = 128;        // fields in one head
inline constexpr std::size_t kHttpTargetBytes = 16 * 1024;  // request target
inline constexpr std::size_t kHttpChunkLineBytes = 1024;    // a chunk-size line with its extensions
inline constexpr std::size_t kHttpTrailerBytes = 8 * 1024;
inline constexpr std::uint64_t kJsonBodyBytes = 4 * 1024 * 1024;  // a JSON request body unless a route says otherwise
inline constexpr std::size_t kHttpIoBufferBytes = 64 * 1024;      // one read from a socket
inline constexpr auto kHttpHeadTimeout = 10s;                     // from first byte to end of head
inline constexpr auto kHttpIdleTimeout = 620s;                    // kept-alive connection without a request
inline constexpr auto kHttpBodyStallTimeout = 120s;               // no byte of a body for this long, either way
inline constexpr auto kHttpConnectTimeout = 10s;
inline constexpr auto kHttpShutdownTimeout = 30s;
inline constexpr std::size_t kHttpConnections = 20'000;  // open server connections of one listener

inline constexpr std::size_t kHttpMethodBytes = 32;      // longest registered method is 17 (UPDATEREDIRECTREF)
inline constexpr int kHttpInterimAnswers = 16;           // 1xx heads that a client skips before the answer
inline constexpr std::size_t kHttpReadBufferBytes = 4 * 1024;     // of a connection at first; grows to kHttpHeadBytes
inline constexpr std::size_t kHttpDrainBytes = 64 * 1024;  // unread request body read away to keep a connection
inline constexpr auto kHttpDrainTimeout = 5s;              // … within this time
inline constexpr auto kHttpLingerTimeout = 2s;             // a refused client gets this long to read why
inline constexpr std::size_t kHttpJoinBytes = 16 * 1024;  // a body up to this is copied behind its head: one write
inline constexpr std::size_t kHttpLingerBytes = 1024 * 1024;

// Streams.
inline constexpr std::size_t kTransferFirstBytes = 4 * 1024;   // one read of a stream that is passed on, at first …
inline constexpr std::size_t kTransferMostBytes = 256 * 1024;  // … and when it brings all that it can
inline constexpr auto kPumpHalfOpenTimeout = 120s;          // one direction has ended and the other does not move
inline constexpr unsigned kStreamWritesPerTurn = 16;        // writes without a wait before others get a turn
inline constexpr auto kPeerClosedPoll = 500ms;              // while unread bytes hide the end of the connection
inline constexpr std::chrono::seconds kTcpKeepIdle{60};      // silence before a probe asks whether the peer lives
inline constexpr std::chrono::seconds kTcpKeepInterval{15};
inline constexpr int kTcpKeepProbes = 4;
inline constexpr auto kAcceptRetry = 100ms;                 // descriptors have run out
inline constexpr auto kUnixConnectRetry = 5ms;              // the listener's queue is full

// WebSocket.
inline constexpr std::size_t kWebSocketMessageBytes = 16 * 1024 * 1024;
inline constexpr auto kWebSocketCloseTimeout = 5s;

// Connect RPC.
inline constexpr std::size_t kConnectFrameBytes = 16 * 1024 * 1024;
inline constexpr auto kConnectEndTimeout = 5s;  // from the end message of a stream to the end of its body

// Multipart.
inline constexpr std::size_t kMultipartHeadBytes = 16 * 1024;
inline constexpr std::size_t kMultipartBoundaryBytes = 70;  // RFC 2046 §5.1.1
inline constexpr std::size_t kMultipartParts = 1'000;

// JSON.
inline constexpr int kJsonDepth = 64;

// The loop watchdog logs when a turn of the loop takes longer.
inline constexpr auto kLoopLag = 50ms;

}  // namespace wrenn::limits
