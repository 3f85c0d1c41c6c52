#include "cp/service/transitions.h"

#include <algorithm>
#include <array>

#include "cp/service/settle.h"
#include "cp/service/usage.h"
#include "cp/store/event_log.h"

namespace wrenn::cp::service {

using model::Event;
using model::Outcome;
using store::Sandbox;
using enum SandboxState;
namespace event = model::event;

std::optional<Meaning> meaning(SandboxState from, SandboxState to) noexcept {
  const bool young = from == pending || from == starting;
  switch (to) {
    case running:
      if (young) return Meaning{event::kCapsuleCreate};
      if (from == pausing) return Meaning{event::kCapsulePause, Outcome::error};
      if (from == running) return std::nullopt;
      return Meaning{event::kCapsuleResume};
    case paused:
      if (young) return Meaning{event::kCapsuleCreate};
      if (from == resuming) return Meaning{event::kCapsuleResume, Outcome::error};
      if (from == paused) return std::nullopt;
      return Meaning{event::kCapsulePause};
    case error:
      if (young) return Meaning{event::kCapsuleCreate, Outcome::error};
      if (from == pausing) return Meaning{event::kCapsulePause, Outcome::error};
      if (from == resuming) return Meaning{event::kCapsuleResume, Outcome::error};
      if (from == error) return std::nullopt;
      return Meaning{event::kCapsuleDestroy, Outcome::error};  // it ended, and nobody had asked it to
    case stopped:
      if (from == stopped) return std::nullopt;
      return Meaning{event::kCapsuleDestroy};
    case pending:
    case starting:
    case pausing:
    case resuming:
    case stopping:
    case missing:
      return std::nullopt;
  }
  return std::nullopt;
}

namespace {

// Words for programs (spec/data-model.md §4.2); anything else in a row's reason is a text for people.
constexpr std::string_view kTtlExpired = "ttl_expired", kCleanup = "cleanup_after_create_error";
constexpr std::array<std::string_view, 7> kReasons{kTtlExpired,    "orphaned", kCleanup,        kRestored,
                                                   kHostStateSync, kTimedOut,  kTimeoutInferred};

bool is_reason(std::string_view text) noexcept {
  return std::find(kReasons.begin(), kReasons.end(), text) != kReasons.end();
}

Event event_about(const Sandbox& row, std::string_view type, UnixTime at) {
  Event happened;
  happened.type = type;
  happened.at = at;
  happened.team = row.team;
  happened.resource_type = "sandbox";
  happened.resource_id = row.id.text();
  happened.position = row.revision;
  return happened;
}

void tell_state(db::Connection& connection, SandboxState from, const Sandbox& row, UnixTime at) {
  if (from == row.status) return;
  auto changed = event_about(row, event::kStateChanged, at);
  changed.actor = row.by;
  changed.metadata = {{"from", std::string(to_string(from))}, {"to", std::string(to_string(row.status))}};
  if (is_reason(row.status_reason)) changed.metadata["reason"] = row.status_reason;
  store::publish_transient(connection, changed);
}

// "capsule.pause" → "pause".
std::string_view action_of(std::string_view type) noexcept {
  return type.substr(type.find('.') + 1);
}

void write_audit(db::Connection& connection, const Event& happened, const Sandbox& row) {
  const auto action = action_of(happened.type);
  const bool by_system = happened.actor.kind == model::Actor::Kind::system;
  audit::Action entry{"sandbox", action};
  if (happened.outcome == Outcome::error)
    entry.status = "error";
  else if (happened.type == event::kCapsuleDestroy)
    entry.status = "warning";
  else if (happened.type == event::kCapsulePause && by_system)
    entry.status = "info";
  auto metadata = happened.metadata;
  if (happened.type == event::kCapsuleCreate) metadata["template"] = row.template_name;
  if (!happened.error.empty()) metadata["error"] = happened.error;
  audit::write(connection, entry, row.team, happened.actor, happened.resource_id, metadata);
}

void publish(db::Connection& connection, const Event& happened, const Sandbox& row) {
  store::publish(connection, happened);
  write_audit(connection, happened, row);
}

}  // namespace

namespace transitions {

void insert(db::Connection& connection, const Sandbox& row) {
  store::insert_sandbox(connection, row);
  tell_state(connection, pending, row, row.created_at);
}

std::optional<Sandbox> begin(db::Connection& connection, const model::SandboxId& id,
                             const std::vector<SandboxState>& expected, const store::Change& change,
                             UnixTime at, const Check& check) {
  const auto before = store::find_sandbox(connection, id);
  if (!before || std::find(expected.begin(), expected.end(), before->status) == expected.end())
    return std::nullopt;
  if (check) check(*before);
  auto row = store::begin_change(connection, id, {before->status}, change, at);
  if (!row) return row;
  note_usage(connection, before->status, *row, at);
  tell_state(connection, before->status, *row, at);
  return row;
}

std::optional<Sandbox> finish(db::Connection& connection, const Sandbox& before, const store::Change& change,
                              UnixTime at, const Told& told) {
  auto row = store::finish_change(connection, before.id, before.revision, change, at);
  if (!row) return row;
  note_usage(connection, before.status, *row, at, told.ran_until);
  tell_state(connection, before.status, *row, at);
  const auto what = meaning(before.status, row->status);
  if (!what) return row;

  auto happened = event_about(*row, what->event, at);
  happened.outcome = what->outcome;
  // What nobody had begun the host has done by itself.
  if (is_transient(before.status)) happened.actor = row->by;
  if (is_reason(row->status_reason)) happened.metadata["reason"] = row->status_reason;
  if (told.inferred) happened.metadata["inferred"] = "true";
  if (what->outcome == Outcome::error) {
    happened.error = told.error;
    if (happened.error.empty() && !row->status_reason.empty() && !is_reason(row->status_reason))
      happened.error = row->status_reason;
    if (happened.error.empty())
      happened.error = fmt::format("the capsule is {} and not what was asked for", to_string(row->status));
  }
  publish(connection, happened, *row);
  return row;
}

void publish_cleanup(db::Connection& connection, const Sandbox& row, UnixTime at) {
  auto happened = event_about(row, event::kCapsuleDestroy, at);
  happened.outcome = Outcome::success;
  happened.position = row.revision + 1;  // after the failure, whose number this row had not yet
  happened.metadata = {{"reason", std::string(kCleanup)}};
  publish(connection, happened, row);
}

void publish_failed_destroy(db::Connection& connection, const Sandbox& row, UnixTime at, std::string error) {
  auto happened = event_about(row, event::kCapsuleDestroy, at);
  happened.outcome = Outcome::error;
  happened.actor = row.by;
  happened.error = std::move(error);
  publish(connection, happened, row);
}

}  // namespace transitions

}  // namespace wrenn::cp::service
