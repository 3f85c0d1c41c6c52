#include "model/sandbox_state.h"

#include <array>
#include <utility>

namespace wrenn::model {

using enum SandboxState;

static constexpr std::array<std::pair<SandboxState, std::string_view>, 10> kNames{{
    {pending, "pending"},
    {starting, "starting"},
    {running, "running"},
    {pausing, "pausing"},
    {paused, "paused"},
    {resuming, "resuming"},
    {stopping, "stopping"},
    {stopped, "stopped"},
    {missing, "missing"},
    {error, "error"},
}};

std::string_view to_string(SandboxState state) noexcept {
  for (const auto& [value, name] : kNames)
    if (value == state) return name;
  return "error";
}

std::optional<SandboxState> from_string(std::string_view text, SandboxState*) noexcept {
  for (const auto& [value, name] : kNames)
    if (name == text) return value;
  return std::nullopt;
}

bool is_transient(SandboxState state) noexcept {
  return state == pending || state == starting || state == pausing || state == resuming || state == stopping;
}

std::string_view public_name(SandboxState state) noexcept {
  if (state == pausing || state == stopping) return to_string(running);
  if (state == resuming) return to_string(starting);
  return to_string(state);
}

}  // namespace wrenn::model
