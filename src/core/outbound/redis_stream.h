// Appends to a stream of a Redis or KeyDB server (Redis 5.0 or later), each entry once although answers get
// lost: the caller gives the ids, and the server refuses one that it has.
//
// Blocking: for a thread of a pool, one at a time. Needs SIGPIPE ignored, as a server does anyway.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/outbound/limits.h"

namespace wrenn::outbound {

// "redis://[user:password@]host[:port][/db]"; user and password percent-encoded, an IPv6 address in brackets.
struct RedisUrl {
  std::string host;
  std::uint16_t port = 6379;
  std::string user = {};  // empty: the default user
  Secret password = {};   // empty: no AUTH
  int db = 0;

  // Throws Error(invalid_argument), which does not repeat the password.
  static RedisUrl parse(std::string_view text);
  std::string text() const;  // without user and password, for messages
};

// "5-0"; ids of a stream only grow.
struct StreamId {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  auto operator<=>(const StreamId&) const = default;

  static std::optional<StreamId> parse(std::string_view text) noexcept;
  std::string text() const;
};

class RedisStream {
 public:
  enum class Outcome { added, was_there };

  // Connects when it is used first. `timeout` is for the connection and for each command.
  explicit RedisStream(RedisUrl url, std::chrono::milliseconds timeout = limits::kRedisTimeout);
  ~RedisStream();

  // Both throw Error:
  //   unavailable, deadline_exceeded  whether the entry was added is unknown: repeat it
  //   unauthenticated, permission_denied
  //   failed_precondition             the stream has entries that do not come from here, or is no stream
  // and connect again the next time.

  // An entry with the one field "payload". `id` must be larger than 0-0. About `max_entries` are kept, all if
  // it is 0.
  Outcome xadd_exact(std::string_view stream, StreamId id, std::string_view payload,
                     std::uint64_t max_entries);
  // The largest id that the stream ever had; absent if there is no stream.
  std::optional<StreamId> last_id(std::string_view stream);

 private:
  class Connection;
  template <typename F>
  auto with_connection(F work);

  RedisUrl url_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace wrenn::outbound
