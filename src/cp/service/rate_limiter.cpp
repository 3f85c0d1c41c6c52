#include "cp/service/rate_limiter.h"

#include "cp/limits.h"

namespace wrenn::cp::service {

std::optional<std::chrono::seconds> RateLimiter::refuse(std::string_view key, SteadyTime at) {
  if (spent_until_.size() >= limits::kRateLimiterKeys) make_room(at);
  auto& spent_until = spent_until_[std::string(key)];
  const auto from = std::max(spent_until, at);
  const auto allowed_from = from - rate_.period * (rate_.burst - 1);
  if (allowed_from > at) return std::chrono::ceil<std::chrono::seconds>(allowed_from - at);
  spent_until = from + rate_.period;
  return std::nullopt;
}

void RateLimiter::forget(std::string_view key) {
  spent_until_.erase(std::string(key));
}

// Who floods us with new keys must not make us remember all of them: those that are as good as absent go
// first, then any.
void RateLimiter::make_room(SteadyTime at) {
  std::erase_if(spent_until_, [at](const auto& one) { return one.second <= at; });
  if (spent_until_.size() >= limits::kRateLimiterKeys) spent_until_.erase(spent_until_.begin());
}

}  // namespace wrenn::cp::service
