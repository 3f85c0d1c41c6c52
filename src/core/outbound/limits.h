// Limits of requests to servers of others.
#pragma once

#include <chrono>
#include <cstddef>

namespace wrenn::outbound::limits {

using namespace std::chrono_literals;

// Requests.
inline constexpr std::size_t kThreads = 16;  // = requests under way of one Client, and handles that it keeps
inline constexpr long kIdleConnections = 4;  // of a handle
inline constexpr std::chrono::seconds kIdleConnectionAge = 60s;
inline constexpr std::chrono::seconds kConnectionAge = 10min;  // then a new one goes where the name leads now
inline constexpr std::chrono::seconds kNameAge = 15s;          // how long a looked-up name is believed
inline constexpr std::chrono::milliseconds kRequestTimeout = 10s;
inline constexpr std::chrono::milliseconds kConnectTimeout = 10s;
inline constexpr std::size_t kAnswerBytes = 1024 * 1024;  // body of an answer
inline constexpr std::size_t kUrlBytes = 8 * 1024;

// Mail.
inline constexpr std::size_t kMailThreads = 2;                  // = mails under way
inline constexpr std::chrono::milliseconds kMailTimeout = 60s;  // some servers greet late on purpose
inline constexpr std::size_t kMailAddressBytes = 254;           // RFC 5321 §4.5.3.1.3, without its brackets
inline constexpr std::size_t kMailBytes = 1024 * 1024;  // a composed mail; many servers take ten times that
inline constexpr std::size_t kMailHeaderBytes = 4 * 1024;  // a subject or name before it is encoded

// Redis.
inline constexpr std::chrono::milliseconds kRedisTimeout = 5s;  // connect, and each answer

}  // namespace wrenn::outbound::limits
