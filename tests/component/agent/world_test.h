// Runs the body of a test in a world of its own, and what tests look at.
#pragma once

#include <functional>

#include "fake_host.h"

namespace wrenn::test {

using Body = std::function<Task<>(World&)>;
void in_world(const Body& body);

// Nothing of any sandbox: no kernel object, no process, no file. Waits for what goes in the background.
Task<> check_empty(World& world, FakeAgent& agent);
// The message of the Error; empty when there is none.
Task<std::string> failure_of(Task<api::agent::SandboxInfo> task);
Task<> ignore(Task<api::agent::SandboxInfo> task, std::string& failure);
// `stopped` for an unknown one.
model::SandboxState state_of(FakeAgent& agent, const std::string& id);
Task<> wait_for_state(FakeAgent& agent, std::string id, model::SandboxState state);

}  // namespace wrenn::test
