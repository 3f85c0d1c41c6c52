// How often somebody may try. One clock reading per key and no queues: the generic cell rate algorithm (ITU-T
// I.371, annex A). Of one process: several control planes allow each as much.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"

namespace wrenn::cp::service {

struct Rate {
  int burst = 1;                        // at once, after a pause
  std::chrono::milliseconds period{0};  // one more after each
};

class RateLimiter {
 public:
  explicit RateLimiter(Rate rate) : rate_(rate) {}

  // Counts an attempt of `key` at `at`, which never goes back. Absent if it is allowed; else how long to
  // wait, and the attempt does not count.
  std::optional<std::chrono::seconds> refuse(std::string_view key, SteadyTime at);
  // The attempts of `key` are forgiven.
  void forget(std::string_view key);

 private:
  void make_room(SteadyTime at);

  Rate rate_;
  // When all that was allowed so far would have been spent at the steady rate. Past: as good as absent.
  std::unordered_map<std::string, SteadyTime> spent_until_;
};

}  // namespace wrenn::cp::service
