// The checks of a create request: what cannot be is refused before anything is made.
#pragma once

#include "agent/journal.h"
#include "api/agent.h"
#include "model/ids.h"

namespace wrenn::agent::sandbox {

struct CreatePlan {
  Record record;  // without anything that exists yet
  model::TeamId template_team;
  model::TemplateId template_id;
};

// Sizes ≤ 0 become the defaults of spec/hostagent.md §2.2. Throws Error(invalid_argument) that names the
// field.
CreatePlan plan_create(const api::agent::CreateSandboxRequest& request);

// A sandbox id as it may stand in a path. Throws Error(invalid_argument).
void check_sandbox_id(const std::string& text);
// Throws Error(invalid_argument).
void check_timeout(std::int64_t seconds);

}  // namespace wrenn::agent::sandbox
