// How much a team may have at once. Where the numbers come from is a provider's business: an embedding
// program puts its own in place of those of the configuration and the database.
#pragma once

#include <cstdint>
#include <optional>

#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::service {

// 0: as much as there is.
struct TeamLimits {
  std::int64_t max_concurrent_sandboxes = 0, max_vcpus = 0, max_memory_mb = 0;
};
struct TeamUsage {
  std::int64_t sandboxes = 0, vcpus = 0, memory_mb = 0;
};

// Both are asked on a thread of the database, within the transaction of the create. What they throw, except
// for the database's own failures, is told as usage_unavailable.
class LimitsProvider {
 public:
  virtual ~LimitsProvider() = default;
  virtual TeamLimits effective_limits(db::Connection& connection, const model::TeamId& team) const = 0;
};
class UsageProvider {
 public:
  virtual ~UsageProvider() = default;
  virtual TeamUsage current_usage(db::Connection& connection, const model::TeamId& team) const = 0;
};

// The same limits for every team.
class FixedLimits : public LimitsProvider {
 public:
  explicit FixedLimits(TeamLimits limits) : limits_(limits) {}
  TeamLimits effective_limits(db::Connection&, const model::TeamId&) const override { return limits_; }

 private:
  TeamLimits limits_;
};
// What the team's capsules hold: those that run or are about to.
class StoredUsage : public UsageProvider {
 public:
  TeamUsage current_usage(db::Connection& connection, const model::TeamId& team) const override;
};

enum class OverLimit { concurrent_sandboxes, vcpus, memory };
// Absent if `more` fits. Pure.
std::optional<OverLimit> over_limit(const TeamLimits& limits, const TeamUsage& usage,
                                    const TeamUsage& more) noexcept;

class Quotas {
 public:
  // Both must outlive this.
  Quotas(const LimitsProvider& limits, const UsageProvider& usage) : limits_(limits), usage_(usage) {}

  // In the transaction that begins what is asked for. Throws PublicError (402) concurrent_sandbox_limit,
  // vcpu_limit, memory_limit, usage_unavailable; what the database throws.
  void admit(db::Connection& connection, const model::TeamId& team, const TeamUsage& more) const;

 private:
  const LimitsProvider& limits_;
  const UsageProvider& usage_;
};

}  // namespace wrenn::cp::service
