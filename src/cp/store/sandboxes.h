// Rows of capsules and their compare-and-set.
//
// Who begins an operation calls begin() with the states that allow it and gets the row with its new revision;
// who ends it calls finish() with that revision. If anything else changed the row in between, finish()
// changes nothing and says so.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/actor.h"
#include "model/ids.h"
#include "model/sandbox_state.h"

namespace wrenn::cp::store {

using model::SandboxState;

struct Sandbox {
  model::SandboxId id;
  model::TeamId team;
  model::HostId host;
  std::string template_name;  // as it was asked for
  model::TemplateId template_id;
  model::TeamId template_team;
  SandboxState status = SandboxState::pending;
  std::string status_reason;
  std::optional<UnixTime> status_deadline;
  std::int64_t revision = 1;
  std::int64_t vcpus = 0, memory_mb = 0, disk_size_mb = 0, timeout_sec = 0;
  std::string guest_ip, host_ip;
  std::string metadata = "{}";  // JSON object of strings
  UnixTime created_at, last_updated;
  std::optional<UnixTime> started_at, last_active_at;
  std::string access_token;  // of its envd; empty before it first runs
  model::Actor by;           // who began the operation that is under way, or the last one
  UnixTime attended_at;      // when a process last said that it works on it; 0: never
};

// What a transition sets; absent members stay as they are.
struct Change {
  SandboxState to = SandboxState::error;
  std::string reason;                // replaces the old one
  std::optional<UnixTime> deadline;  // of a transient state; none otherwise
  std::optional<std::string> host_ip;
  std::optional<std::string> metadata;
  std::optional<UnixTime> started_at, last_active_at;
  std::optional<std::string> access_token;
  std::optional<model::Actor> by;
};

// All throw as db::Connection::query().
void insert_sandbox(db::Connection& connection, const Sandbox& sandbox);
std::optional<Sandbox> find_sandbox(db::Connection& connection, const model::SandboxId& id);
// Absent if it is another team's.
std::optional<Sandbox> find_sandbox(db::Connection& connection, const model::TeamId& team,
                                    const model::SandboxId& id);

// What GET /v1/capsules shows: neither stopped nor failed, newest first. A row whose version is the same as
// before is the same as before.
struct RowVersion {
  std::int64_t revision = 0;
  UnixTime last_updated;
  bool operator==(const RowVersion&) const = default;
};
struct ListedSandbox {
  model::SandboxId id;
  RowVersion version;
};
std::vector<ListedSandbox> listed_sandboxes(db::Connection& connection, const model::TeamId& team);
// Every row of a host that is neither stopped nor failed.
std::vector<Sandbox> live_sandboxes(db::Connection& connection, const model::HostId& host);

// The row after the change; absent if it is not (any more) in one of `expected`, or does not exist.
std::optional<Sandbox> begin_change(db::Connection& connection, const model::SandboxId& id,
                                    const std::vector<SandboxState>& expected, const Change& change,
                                    UnixTime at);
// The row after the change; absent if its revision is another.
std::optional<Sandbox> finish_change(db::Connection& connection, const model::SandboxId& id,
                                     std::int64_t revision, const Change& change, UnixTime at);

// Activity of the user: no change of state, so the revision stays.
void set_sandbox_active(db::Connection& connection, const model::SandboxId& id, UnixTime at);

// A process works on it: no change at all, so revision and last_updated stay. One that is at rest stays as it
// is.
void set_sandbox_attended(db::Connection& connection, const model::SandboxId& id, UnixTime at);

// What a team's capsules hold of the hosts at this moment: those that run, or are about to.
struct Reserved {
  std::int64_t sandboxes = 0, vcpus = 0, memory_mb = 0;
};
Reserved reserved_by(db::Connection& connection, const model::TeamId& team);
// Whether one in this status is counted there.
bool is_reserved(SandboxState status) noexcept;
// The same as a condition on a row: "status IN ('pending', …)", as in the index idx_sandboxes_using.
const std::string& reserved_condition();

// Without stopped and failed ones.
std::map<SandboxState, std::int64_t> count_sandboxes(db::Connection& connection);

}  // namespace wrenn::cp::store
