// What operations write into the rows of capsules.
#pragma once

#include <chrono>
#include <string>

#include "api/agent.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::service {

using model::SandboxState;

UnixTime after(UnixTime at, std::chrono::microseconds duration) noexcept;
UnixTime before(UnixTime at, std::chrono::microseconds duration) noexcept;
store::Change change_to(SandboxState to, std::string reason = {});
// To a transient state that somebody must look at after `deadline`; `by` began it.
store::Change begin_to(SandboxState to, std::chrono::microseconds deadline, model::Actor by);
// Running, as the agent told.
store::Change running_from(const api::agent::SandboxInfo& info, UnixTime at);

}  // namespace wrenn::cp::service
