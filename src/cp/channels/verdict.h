// What an attempt means for its delivery. Pure.
//
//   answered 2xx                                   delivered
//   answered otherwise, refused by our rules, …    again after 10 s and 30 s; after three such attempts dead
//   no connection                                  again after 10 s, then every 30 s; dead after
//                                                  ChannelConfig::unreachable_for: an event is not given up
//                                                  because a receiver is restarted
#pragma once

#include <optional>
#include <string>

#include "core/base/error.h"
#include "cp/config.h"
#include "cp/store/deliveries.h"

namespace wrenn::cp::channels {

// An HTTP status, or why there is none.
struct Outcome {
  std::optional<int> status;
  ErrorCode failure = ErrorCode::unknown;
  std::string error;

  bool worked() const noexcept { return status && *status >= 200 && *status < 300; }
};

store::Attempt judge(const store::Delivery& delivery, const Outcome& outcome, UnixTime at,
                     const ChannelConfig& config);

}  // namespace wrenn::cp::channels
