// The states of a sandbox, as the database, the agent and the API name them.
//
//   pending ─→ starting ─→ running ⇄ (pausing) ⇄ paused     any ─→ (stopping) ─→ stopped
//      └───────────┴─→ error         (resuming)             host lost: missing, until it is heard of again
//
// Those in parentheses and `starting` are transient: an operation is under way and a deadline watches it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace wrenn::model {

enum class SandboxState { pending, starting, running, pausing, paused, resuming, stopping, stopped, missing, error };
inline constexpr auto kSandboxStates = [] {
  using enum SandboxState;
  return std::array{pending, starting, running, pausing, paused, resuming, stopping, stopped, missing, error};
}();

std::string_view to_string(SandboxState state) noexcept;
std::optional<SandboxState> from_string(std::string_view text, SandboxState*) noexcept;

bool is_transient(SandboxState state) noexcept;

// What clients with the fixed enum of the SDKs may see (spec/rest-api.md §5.2): pausing and stopping show as running,
// resuming as starting.
std::string_view public_name(SandboxState state) noexcept;

}  // namespace wrenn::model
