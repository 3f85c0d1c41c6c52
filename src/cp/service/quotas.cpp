#include "cp/service/quotas.h"

#include "api/errors.h"
#include "core/log/log.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

TeamUsage StoredUsage::current_usage(db::Connection& connection, const model::TeamId& team) const {
  const auto reserved = store::reserved_by(connection, team);
  return {reserved.sandboxes, reserved.vcpus, reserved.memory_mb};
}

std::optional<OverLimit> over_limit(const TeamLimits& limits, const TeamUsage& usage,
                                    const TeamUsage& more) noexcept {
  const auto over = [](std::int64_t limit, std::int64_t used, std::int64_t wanted) {
    return limit > 0 && used + wanted > limit;
  };
  if (over(limits.max_concurrent_sandboxes, usage.sandboxes, more.sandboxes))
    return OverLimit::concurrent_sandboxes;
  if (over(limits.max_vcpus, usage.vcpus, more.vcpus)) return OverLimit::vcpus;
  if (over(limits.max_memory_mb, usage.memory_mb, more.memory_mb)) return OverLimit::memory;
  return std::nullopt;
}

[[noreturn]] static void refuse(std::string_view code, std::string message) {
  throw api::PublicError(ErrorCode::resource_exhausted, 402, std::string(code), std::move(message));
}

void Quotas::admit(db::Connection& connection, const model::TeamId& team, const TeamUsage& more) const {
  TeamLimits limits;
  TeamUsage usage;
  try {
    limits = limits_.effective_limits(connection, team);
    if (limits.max_concurrent_sandboxes > 0 || limits.max_vcpus > 0 || limits.max_memory_mb > 0)
      usage = usage_.current_usage(connection, team);
  } catch (const Error& error) {
    // The database's: the transaction is tried again, or fails as a whole.
    if (error.code() == ErrorCode::unavailable || error.code() == ErrorCode::aborted) throw;
    log::error("what a team uses is not known", {{"team", team.text()}, {"error", error.what()}});
    refuse("usage_unavailable", "what the team uses is not known at the moment; try again");
  }
  const auto over = over_limit(limits, usage, more);
  if (!over) return;
  switch (*over) {
    case OverLimit::concurrent_sandboxes:
      refuse("concurrent_sandbox_limit",
             fmt::format("the team may have {} capsules at once and has {}; pause or destroy some",
                         limits.max_concurrent_sandboxes, usage.sandboxes));
    case OverLimit::vcpus:
      refuse("vcpu_limit", fmt::format("the team may have {} vCPUs at once and has {}; {} more are too many",
                                       limits.max_vcpus, usage.vcpus, more.vcpus));
    case OverLimit::memory:
      refuse("memory_limit",
             fmt::format("the team may have {} MB of memory at once and has {}; {} more are too many",
                         limits.max_memory_mb, usage.memory_mb, more.memory_mb));
  }
}

}  // namespace wrenn::cp::service
