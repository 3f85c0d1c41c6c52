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

}  // namespace wrenn::db::limits
