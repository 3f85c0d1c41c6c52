#include "cp/channels/verdict.h"

#include "core/base/text.h"
#include "cp/channels/limits.h"

namespace wrenn::cp::channels {

static UnixTime later(UnixTime at, std::chrono::milliseconds pause) {
  return UnixTime{at.us + std::chrono::microseconds(pause).count()};
}

store::Attempt judge(const store::Delivery& delivery, const Outcome& outcome, UnixTime at,
                     const ChannelConfig& config) {
  store::Attempt attempt;
  attempt.event_id = delivery.event_id;
  attempt.channel = delivery.channel;
  attempt.at = attempt.due_at = at;
  if (outcome.status) attempt.http_status = *outcome.status;
  if (outcome.worked()) {
    attempt.status = "delivered";
    return attempt;
  }
  attempt.error = outcome.status ? fmt::format("the receiver answered {}", *outcome.status)
                                 : sanitize_utf8(outcome.error.substr(0, limits::kErrorBytes));
  const bool unreachable = !outcome.status && outcome.failure == ErrorCode::unavailable;
  const bool waits_for_receiver = unreachable && config.unreachable_for.count() > 0;
  attempt.refused = !waits_for_receiver;
  bool dead = false;
  if (waits_for_receiver) {
    dead = at >= later(delivery.created_at, config.unreachable_for);
  } else {
    dead = delivery.refusals + 1 >= limits::kRefusals;
  }
  attempt.status = dead ? "dead" : "pending";
  const auto before = waits_for_receiver ? delivery.attempts : delivery.refusals;
  if (!dead) attempt.due_at = later(at, before == 0 ? config.first_retry : config.second_retry);
  return attempt;
}

}  // namespace wrenn::cp::channels
