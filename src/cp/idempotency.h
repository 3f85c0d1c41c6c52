// Idempotency-Key: a client that does not know whether its request arrived repeats it with the same key, and
// what it asks for is made once (draft-ietf-httpapi-idempotency-key-header).
//
//   first   claim ─▶ carried out ─▶ answer kept ─▶ sent           the row of a capsule holds the claim's name
//   from again   ─────────────────────────────────────▶ the same       its own transaction on: a process that
//   died
//           claim of a process that died ─▶ the capsule it made   between the two has not made one for
//           nothing
//
// Only answers of success are kept: what has failed has made nothing and may be tried again. A handler that
// is cancelled has not failed: its claim stays, as that of a process that died.
#pragma once

#include "core/http/reply.h"
#include "cp/encryption_key.h"
#include "cp/service/caller.h"
#include "cp/store/idempotency.h"

namespace wrenn::cp {

using async::Task;

class Idempotency {
 public:
  // Both must outlive this. `key` seals what is kept.
  Idempotency(db::Database& database, EncryptionKey& key) : database_(database), key_(key) {}

  // Runs `handler`, unless the request, whose body is a WholeBody, is a repetition; request.context says then
  // under which name what is made is remembered. Without the header it does nothing else. Throws
  // Error(invalid_argument) for a key that cannot be one, PublicError idempotency_mismatch (422: the key was used
  // for something else), idempotency_in_progress (409); what the handler throws.
  Task<> run(http::Request& request, http::Reply& reply, service::Caller caller,
             const http::Handler& handler);

 private:
  struct Claim;
  Task<Claim> claim(store::IdempotencyName name, std::string fingerprint);

  db::Database& database_;
  EncryptionKey& key_;
};

}  // namespace wrenn::cp
