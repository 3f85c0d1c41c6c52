#include "cp/service/settle.h"

#include <algorithm>

#include "core/json/writer.h"
#include "cp/limits.h"

namespace wrenn::cp::service {

using enum SandboxState;

std::string metadata_json(const std::map<std::string, std::string>& metadata) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  for (const auto& [name, value] : metadata) writer.member(name, value);
  writer.end_object();
  return text;
}

static std::int64_t us(std::chrono::microseconds duration) noexcept {
  return duration.count();
}

static Settled change_to(SandboxState to, std::string_view reason) {
  Settled settled;
  settled.what = Settle::change;
  settled.change.to = to;
  settled.change.reason = reason;
  return settled;
}

bool stands_still(std::string_view reason) noexcept {
  return reason.starts_with(api::agent::kHostDiskFull);
}

static Settled settle_unknown(const store::Sandbox& row) {
  switch (row.status) {
    case pending:
    case starting:
      return change_to(error, kTimeoutInferred);
    case stopping:
      return change_to(stopped, row.status_reason);
    // A paused capsule is only files: they may be back when the right disk is mounted.
    case paused:
      return change_to(missing, kHostStateSync);
    case missing:
      if (row.status_reason == kHostStateSync) return {};
      return change_to(stopped, kHostStateSync);
    case running:
    case pausing:
    case resuming:
      return change_to(stopped, kHostStateSync);
    case stopped:
    case error:
      return {};
  }
  return {};
}

// When somebody was last at work on it, as far as the row knows.
static UnixTime attended_at(const store::Sandbox& row) noexcept {
  return std::max(row.last_updated, row.attended_at);
}

std::optional<UnixTime> look_again_at(const store::Sandbox& row, UnixTime at) {
  if (!is_transient(row.status)) return std::nullopt;
  return UnixTime{
      std::max(attended_at(row).us + us(limits::kSettleGrace), at.us + us(limits::kUnsettledPeriod))};
}

Settled settle(const store::Sandbox& row, const api::agent::SandboxInfo* fact, UnixTime at,
               UnixTime abandoned_before) {
  const bool transient = is_transient(row.status);
  // Another process may have written this row a moment ago and not yet have asked the agent, or wait for the
  // agent's answer.
  const auto attended = attended_at(row);
  if (transient && attended >= abandoned_before && at.us - attended.us < us(limits::kSettleGrace)) return {};
  if (fact == nullptr || fact->status == stopped || fact->status == missing) return settle_unknown(row);

  if (row.status == stopping) {
    Settled settled;
    settled.what = Settle::destroy;
    return settled;
  }
  switch (fact->status) {
    case running:
    case paused: {
      if (row.status == fact->status) {
        if (fact->status == paused || stands_still(row.status_reason) == stands_still(fact->reason))
          return {};
        return change_to(running, fact->reason);
      }
      const auto reason = transient               ? kTimeoutInferred
                          : row.status == missing ? kRestored
                          : fact->reason.empty()  ? kHostStateSync
                                                  : std::string_view(fact->reason);
      auto settled = change_to(fact->status, reason);
      settled.change.host_ip = fact->host_ip;
      if (!fact->metadata.empty()) settled.change.metadata = metadata_json(fact->metadata);
      if (!fact->access_token.empty()) settled.change.access_token = fact->access_token;
      if (fact->status == running && !row.started_at) settled.change.started_at = at;
      if (fact->last_active_at_us > 0) settled.change.last_active_at = UnixTime{fact->last_active_at_us};
      return settled;
    }
    case error:
      return change_to(error, fact->reason.empty() ? kHostStateSync : std::string_view(fact->reason));
    default:
      break;
  }
  // The agent is at work. A start that never ends is given up; a pause or resume holds the user's data and is
  // not.
  if ((row.status == pending || row.status == starting) && row.status_deadline && at > *row.status_deadline)
    return change_to(error, kTimedOut);
  return {};
}

bool is_orphan_to_destroy(const std::optional<store::Sandbox>& row, const api::agent::SandboxInfo& fact,
                          UnixTime at, bool grace_is_over) noexcept {
  // No row at all: of a database that was lost or replaced. What runs costs and nobody can reach it; what is
  // paused only takes room and could be wanted when a backup of the database is restored.
  if (!row) return grace_is_over && fact.status != paused;
  if (row->status == stopped) return true;
  if (row->status != error) return false;
  return !row->started_at || at.us - row->last_updated.us > us(limits::kFailedKept);
}

}  // namespace wrenn::cp::service
