#include "cp/store/idempotency.h"

#include "cp/store/columns.h"

namespace wrenn::cp::store {

std::optional<IdempotencyRow> find_idempotency(db::Connection& connection, const IdempotencyName& name) {
  std::optional<IdempotencyRow> found;
  connection.query(
      "SELECT fingerprint, sandbox_id, answer_status, answer, claimed_until FROM idempotency_keys "
      "WHERE team_id = $1 AND actor_id = $2 AND key = $3",
      {name.team.text(), name.actor, name.key}, [&](const db::Row& row) {
        auto& one = found.emplace();
        one.fingerprint = row.text(0);
        if (!row.is_null(1)) one.sandbox = stored_id<model::SandboxId>(row.text(1));
        if (!row.is_null(2)) one.answer_status = static_cast<int>(row.integer(2));
        one.answer = row.text(3);
        one.claimed_until = UnixTime{row.integer(4)};
      });
  return found;
}

void claim_idempotency(db::Connection& connection, const IdempotencyName& name,
                       const std::string& fingerprint, UnixTime claimed_until, UnixTime at) {
  connection.execute(
      "INSERT INTO idempotency_keys (team_id, actor_id, key, fingerprint, claimed_until, created_at) "
      "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (team_id, actor_id, key) DO UPDATE SET claimed_until = $5",
      {name.team.text(), name.actor, name.key, fingerprint, claimed_until.us, at.us});
}

void set_idempotency_sandbox(db::Connection& connection, const IdempotencyName& name,
                             const model::SandboxId& id) {
  connection.execute(
      "UPDATE idempotency_keys SET sandbox_id = $4 WHERE team_id = $1 AND actor_id = $2 AND key = $3",
      {name.team.text(), name.actor, name.key, id.text()});
}

void set_idempotency_answer(db::Connection& connection, const IdempotencyName& name, int status,
                            const std::string& answer) {
  connection.execute(
      "UPDATE idempotency_keys SET answer_status = $4, answer = $5 WHERE team_id = $1 AND actor_id = $2 AND "
      "key = $3",
      {name.team.text(), name.actor, name.key, status, answer});
}

void erase_idempotency(db::Connection& connection, const IdempotencyName& name) {
  connection.execute("DELETE FROM idempotency_keys WHERE team_id = $1 AND actor_id = $2 AND key = $3",
                     {name.team.text(), name.actor, name.key});
}

void prune_idempotency(db::Connection& connection, UnixTime created_before) {
  connection.execute("DELETE FROM idempotency_keys WHERE created_at < $1", {created_before.us});
}

}  // namespace wrenn::cp::store
