// Who asks: what an API key or a session stands for at the moment of the request.
#pragma once

#include <optional>
#include <string>

#include "model/actor.h"
#include "model/ids.h"
#include "model/role.h"

namespace wrenn::cp::service {

struct Caller {
  model::TeamId team;  // the key's, or the active one of the session
  model::Actor actor;  // a user or an API key
  // SHA-256 of the key or the session's token, hex; empty for what the program does by itself.
  std::string credential_hash;
  // Of a session only:
  std::optional<model::UserId> user;
  std::string user_name;
  model::Role role = model::Role::member;
  bool is_admin = false;      // of the platform
  bool for_platform = false;  // asks as its admin: `team` is the platform's, whichever the session's is
  // Of a request with an Idempotency-Key: the key, and the capsule that it made when it first came.
  std::string request_key;
  std::optional<model::SandboxId> made_before;
};

}  // namespace wrenn::cp::service
