// Time series of capsules, one text a tier.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

// All throw as db::Connection::query().
std::optional<std::string> sandbox_metrics(db::Connection& connection, const model::SandboxId& id,
                                           std::string_view tier);
// In place of what was there.
void set_sandbox_metrics(db::Connection& connection, const model::SandboxId& id, std::string_view tier,
                         std::string_view points, UnixTime at);
void delete_sandbox_metrics(db::Connection& connection, const model::SandboxId& id, std::string_view tier);
// Returns how many were deleted, at most `limit`.
std::int64_t prune_sandbox_metrics(db::Connection& connection, UnixTime before, std::int64_t limit);

}  // namespace wrenn::cp::store
