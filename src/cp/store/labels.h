// What users write on their capsules.
#pragma once

#include <map>
#include <string>
#include <unordered_set>

#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

using Labels = std::map<std::string, std::string>;

// Both throw as db::Connection::query().
void insert_labels(db::Connection& connection, const model::SandboxId& sandbox, const model::TeamId& team,
                   const Labels& labels);
// The team's capsules, of whatever status, that have all of these. `labels` is not empty.
std::unordered_set<model::SandboxId> sandboxes_labelled(db::Connection& connection, const model::TeamId& team,
                                                        const Labels& labels);

}  // namespace wrenn::cp::store
