// Templates and where their files are.
//
// Base templates of the platform follow what hosts have. A snapshot is made by an operation: begin_snapshot()
// writes its row, which takes the name and cannot be used yet; finish_snapshot() says where it is;
// forget_template() ends it for good. What a host has is compared in follow_host_templates().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/actor.h"
#include "model/ids.h"

namespace wrenn::cp::store {

inline constexpr std::string_view kBase = "base", kSnapshot = "snapshot";

struct Template {
  model::TemplateId id;
  model::TeamId team;
  std::string name;
  std::string type;                       // base | snapshot
  std::int64_t vcpus = 0, memory_mb = 0;  // of a snapshot
  std::int64_t size_bytes = 0;
  std::string default_user;
  std::string default_env = "{}";  // JSON object of strings
  std::string metadata = "{}";     // JSON object of strings
  UnixTime created_at;             // of a snapshot: of its newest generation
  std::optional<UnixTime> making_until;
  model::Actor by;                   // who asked for a snapshot
  std::vector<model::HostId> hosts;  // where its files are
};

// All throw as db::Connection::query().

// What `team` may use: its own and the platform's, where some host has the files; newest first.
std::vector<Template> usable_templates(db::Connection& connection, const model::TeamId& team);
// Those of all teams, but for the ones that are being made; newest first. Without their places.
std::vector<Template> all_templates(db::Connection& connection);
// The team's or the platform's of that name, usable or not.
std::vector<Template> templates_named(db::Connection& connection, const model::TeamId& team,
                                      std::string_view name);

// Throws Error(already_exists) if the team has that name.
void begin_snapshot(db::Connection& connection, const Template& row);
// Sizes, metadata, user and creation of `row`, and `host` as the only place where its files are. False if it
// was deleted meanwhile.
bool finish_snapshot(db::Connection& connection, const Template& row, const model::HostId& host,
                     const std::string& generation);
// Whether the row is there and has only been begun.
bool is_being_made(db::Connection& connection, const model::TemplateId& id);
// The row goes, its id is remembered.
void forget_template(db::Connection& connection, const Template& row, UnixTime at);

struct HostedTemplate {
  Template row;
  std::string generation;
};
struct Followed {
  std::vector<HostedTemplate> deleted;  // the host still has them
  std::vector<HostedTemplate> adopted;  // rows again
  std::vector<HostedTemplate> refused;  // nobody's, and not to be taken up
  std::vector<Template> made;           // had only been begun, and is complete now
  std::vector<Template> abandoned;      // had only been begun, and is deleted
};
// Makes the rows agree with what `host` answered when it was asked at `asked`.
//
// Base templates of the platform are added, updated, and vanish when no host has them. A snapshot that the
// host no longer has loses its place there and keeps its row: the files may come back. One that only the host
// knows is taken up if may_adopt() says so. What was made after `asked` is left alone: the answer is older.
// What had only been begun is complete with the host's word, also while its operation waits for the agent's
// answer.
Followed follow_host_templates(db::Connection& connection, const model::HostId& host,
                               const std::vector<HostedTemplate>& told, UnixTime asked, UnixTime at);

// Whether a snapshot that only a host knows becomes a row again: the database was restored from a copy that
// is older than the snapshot, and nothing speaks against its being what it says.
struct Unknown {
  bool deleted = false;      // it was deleted, and the host was away
  bool name_taken = false;   // the team has another template of that name
  bool team_exists = false;  // and is not the platform, whose templates all teams use
  bool host_serves = false;  // the host is shared, or belongs to the team
};
bool may_adopt(const Unknown& unknown, const Template& told) noexcept;

}  // namespace wrenn::cp::store
