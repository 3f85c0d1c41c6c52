// Every change of a capsule's status goes through here: the row, the event and the entry of the audit log are
// one transaction, whoever makes the change, and so is the begin or end of a run that is charged (usage.h).
// So there is one event for each thing that happened, also when the process that began it did not live to see
// its end.
//
//   begin()                                             finish()
//   running ──▶ pausing  "capsule.state.changed" … ──▶ paused    capsule.pause, success
//                                                      running   capsule.pause, error
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cp/service/audit.h"
#include "cp/store/sandboxes.h"
#include "model/event.h"

namespace wrenn::cp::service {

using model::SandboxState;

// What a change from one status to another means to a team. Pure; its test is a table. Absent for what is
// only on its way, and for a capsule whose host is not heard of.
struct Meaning {
  std::string_view event;
  model::Outcome outcome = model::Outcome::success;
  bool operator==(const Meaning&) const = default;
};
std::optional<Meaning> meaning(SandboxState from, SandboxState to) noexcept;

// What is known of a change beyond the rows.
struct Told {
  std::string error;                       // why an operation failed
  bool inferred = false;                   // from what the host says, by somebody who did not do it
  std::optional<UnixTime> ran_until = {};  // of a capsule that ended before anybody noticed
};

namespace transitions {

// All throw what the database throws.

// A row that begins; row.by says whose it is.
void insert(db::Connection& connection, const store::Sandbox& row);
// The row after the change; absent if it is not (any more) in one of `expected`, or does not exist. `check` sees the
// row before the change, if there is to be one; what it throws undoes the transaction. change.by is remembered for the
// end.
using Check = std::function<void(const store::Sandbox& before)>;
std::optional<store::Sandbox> begin(db::Connection& connection, const model::SandboxId& id,
                                    const std::vector<SandboxState>& expected, const store::Change& change,
                                    UnixTime at, const Check& check = {});
// As store::finish_change(); `before` is the row that begin() or the database gave.
std::optional<store::Sandbox> finish(db::Connection& connection, const store::Sandbox& before,
                                     const store::Change& change, UnixTime at, const Told& told = {});

// What has no row to change: the rest of a create that failed is gone; a destroy that failed and is tried
// again.
void publish_cleanup(db::Connection& connection, const store::Sandbox& row, UnixTime at);
void publish_failed_destroy(db::Connection& connection, const store::Sandbox& row, UnixTime at,
                            std::string error);

}  // namespace transitions

}  // namespace wrenn::cp::service
