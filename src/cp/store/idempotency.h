// Requests that may be repeated: see service/idempotency.h.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/db/database.h"
#include "model/ids.h"

namespace wrenn::cp::store {

struct IdempotencyName {
  model::TeamId team;
  std::string actor;  // id of the user or key
  std::string key;    // as the client chose it
};
struct IdempotencyRow {
  std::string fingerprint;
  std::optional<model::SandboxId> sandbox;
  std::optional<int> answer_status;
  std::string answer;  // as it was stored
  UnixTime claimed_until;
};

// All throw as db::Connection::query().
std::optional<IdempotencyRow> find_idempotency(db::Connection& connection, const IdempotencyName& name);
// Makes the row, or takes over one whose claim has ended.
void claim_idempotency(db::Connection& connection, const IdempotencyName& name,
                       const std::string& fingerprint, UnixTime claimed_until, UnixTime at);
void set_idempotency_sandbox(db::Connection& connection, const IdempotencyName& name,
                             const model::SandboxId& id);
void set_idempotency_answer(db::Connection& connection, const IdempotencyName& name, int status,
                            const std::string& answer);
void erase_idempotency(db::Connection& connection, const IdempotencyName& name);
void prune_idempotency(db::Connection& connection, UnixTime created_before);

}  // namespace wrenn::cp::store
