// What a capsule's row becomes when it is compared with what its host says: the one place where "the agent
// reports facts, the control plane decides" is decided. Pure; its test is a table.
#pragma once

#include <optional>
#include <string>

#include "api/agent.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

using model::SandboxState;

// Reasons, as events will carry them (spec/data-model.md §4.2).
inline constexpr std::string_view kHostStateSync = "host_state_sync";
inline constexpr std::string_view kRestored = "restored_after_host_recovery";
inline constexpr std::string_view kTimedOut = "transient_timeout";
inline constexpr std::string_view kTimeoutInferred = "transient_timeout_inferred";

enum class Settle {
  leave,    // the row is right, or somebody is at work
  change,   // to `change`
  destroy,  // the row wants the capsule gone and the host still has it
};
struct Settled {
  Settle what = Settle::leave;
  store::Change change;
};

// `fact` is null when the host answered and does not know the capsule. The caller has made sure that no
// operation of this process works on the row; whether one of another process does, the row told at `at`, when
// it was read. On rows that nobody has attended to since `abandoned_before` nobody at all works: this process
// and the host's agent are younger.
Settled settle(const store::Sandbox& row, const api::agent::SandboxInfo* fact, UnixTime at,
               UnixTime abandoned_before = {});

// When to look again at a row that was left: its grace ends; absent if it is at rest.
std::optional<UnixTime> look_again_at(const store::Sandbox& row, UnixTime at);

// Whether this is the reason of a running capsule whose machine stands still for now.
bool stands_still(std::string_view reason) noexcept;

// What a host has and no live row wants: destroy it or not.
bool is_orphan_to_destroy(const std::optional<store::Sandbox>& row, const api::agent::SandboxInfo& fact,
                          UnixTime at, bool grace_is_over) noexcept;

// {"k":"v"} of the agent's metadata.
std::string metadata_json(const std::map<std::string, std::string>& metadata);

}  // namespace wrenn::cp::service
