// Deadlines and sizes of calls between the roles.
#pragma once

#include <chrono>
#include <cstdint>

namespace wrenn::api::limits {

using namespace std::chrono_literals;

// Control plane → agent. Create covers the longest that an agent may take over it under emulation: its turn to boot, the
// boot and the first call into the guest (agent/limits.h), and a margin.
inline constexpr auto kAgentCreate = 240s;
inline constexpr auto kAgentDestroy = 60s;
inline constexpr auto kAgentPause = 300s;
inline constexpr auto kAgentResume = 90s;
inline constexpr auto kAgentFork = 300s;  // writes the parent's dirty pages and starts every child
inline constexpr auto kAgentQuery = 15s;
inline constexpr std::chrono::milliseconds kAgentChanges = 60s;  // one wait for news

// Host → envd.
inline constexpr auto kEnvdUnary = 30s;
inline constexpr auto kEnvdFileHead = 60s;  // until the head of an answer to /files: the upload's end includes an fsync
inline constexpr std::uint64_t kEnvdAnswerBytes = 16 * 1024 * 1024;  // of a unary answer
// envd is asked to send a keep-alive this often; a stream that is silent for three times as long is dead.
inline constexpr auto kEnvdKeepalive = 30s;

}  // namespace wrenn::api::limits
