// What waits in the database, and how many of what there are: for an operator's graphs.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::store {

// More of a kind are not counted: a question that takes long would be asked every few seconds.
inline constexpr std::int64_t kFiguresMost = 100'000;

struct Figures {
  std::map<model::SandboxState, std::int64_t> sandboxes;  // neither stopped nor failed
  std::map<std::string, std::int64_t> hosts;              // by status
  std::int64_t events_new = 0;                            // not numbered yet: nobody is told of them
  std::int64_t events_not_taken_in = 0;                   // numbered, and not yet made deliveries of
  std::int64_t deliveries_pending = 0, deliveries_due = 0, deliveries_dead = 0;
};
// `group` is that of the deliverer. Throws as db::Connection::query().
Figures figures(db::Connection& connection, std::string_view group, UnixTime at);

}  // namespace wrenn::cp::store
