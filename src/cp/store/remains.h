// What is left of teams that were deleted and users who were disabled: housekeeping looks for it until there is
// nothing.
#pragma once

#include <string>
#include <vector>

#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct Remnant {
  model::TeamId team;
  model::SandboxId sandbox;
};
struct RemnantTemplate {
  model::TeamId team;
  std::string name;
};

// All throw as db::Connection::query(); at most `limit` of each.
std::vector<Remnant> capsules_of_deleted_teams(db::Connection& connection, std::int64_t limit);
std::vector<RemnantTemplate> templates_of_deleted_teams(db::Connection& connection, std::int64_t limit);
// Running ones of teams to which nobody belongs who is active.
std::vector<Remnant> running_capsules_of_disabled_users(db::Connection& connection, std::int64_t limit);

}  // namespace wrenn::cp::store
