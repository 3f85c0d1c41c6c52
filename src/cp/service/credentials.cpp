#include "cp/service/credentials.h"

#include <algorithm>

#include "api/errors.h"
#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/crypto/hash.h"
#include "cp/limits.h"
#include "cp/service/api_keys.h"
#include "cp/service/changes.h"
#include "cp/service/note.h"
#include "cp/store/sessions.h"

namespace wrenn::cp::service {

static constexpr std::size_t kSessionRandomBytes = 32;

void announce_revocation(db::Connection& connection) {
  connection.notify(kRevocations, "");
}

std::string hash_secret(std::string_view secret) {
  return hex_encode(crypto::sha256(secret));
}

std::string begin_session(db::Connection& connection, const model::UserId& user, const model::TeamId& team,
                          UnixTime at) {
  auto token = std::string(kSessionPrefix) + random_hex(kSessionRandomBytes);
  store::insert_session(connection,
                        {hash_secret(token), user, team, at, at, after(at, limits::kSessionLifetime)});
  return token;
}

std::string csrf_token(std::string_view session_token) {
  return hex_encode(crypto::hmac_sha256(session_token, "csrf"));
}

static bool is_session_token(std::string_view text) noexcept {
  return text.starts_with(kSessionPrefix) && text.size() == kSessionPrefix.size() + 2 * kSessionRandomBytes;
}

Task<std::optional<Caller>> Credentials::find(std::string text) {
  const auto key = parse_api_key(text);
  if (!key && !is_session_token(text)) co_return std::nullopt;
  // Looking up a hash, not the secret: the time of the comparison tells nothing about it.
  co_return co_await find_hash(hash_secret(key ? *key : text), key.has_value());
}

Task<std::optional<Caller>> Credentials::find_hash(std::string hash, bool is_key) {
  const auto start = SteadyClock::now();
  const bool remembers = hears_others();
  if (const auto found = cache_.find(hash);
      remembers && found != cache_.end() && found->second.valid_until > start) {
    note_used(found->second, start);
    co_return found->second.caller;
  }

  const auto generation = generation_;
  auto caller = co_await look_up(hash, is_key);
  if (!caller) co_return std::nullopt;
  if (cache_.size() >= limits::kCredentialCacheEntries) cache_.clear();
  auto& entry = cache_[hash];
  entry.caller = *caller;
  // What was read before something was revoked may be just that.
  if (generation == generation_) entry.valid_until = start + limits::kCredentialCacheTtl;
  note_used(entry, start);
  co_return caller;
}

Task<> Credentials::change() {
  (void)co_await changed_.wait_for(limits::kCredentialCheckPeriod);
}

Task<bool> Credentials::is_good(Caller caller) {
  std::exception_ptr failure;
  try {
    const auto now_is = co_await find_hash(caller.credential_hash, !caller.user);
    co_return now_is && (caller.for_platform ? now_is->is_admin : now_is->team == caller.team);
  } catch (...) {
    failure = std::current_exception();
  }
  if (async::is_cancellation(failure)) std::rethrow_exception(failure);
  co_return code_of(failure) != ErrorCode::permission_denied;
}

static Caller caller_of(const store::ApiKey& key) {
  Caller caller;
  caller.team = key.team;
  caller.actor = {model::Actor::Kind::api_key, key.id.text(), key.name};
  caller.credential_hash = key.hash;
  return caller;
}

static Caller caller_of(const store::LiveSession& live) {
  Caller caller;
  caller.team = live.session.team;
  caller.actor = {model::Actor::Kind::user, live.session.user.text(), live.email};
  caller.user = live.session.user;
  caller.user_name = live.name;
  caller.role = *live.role;
  caller.is_admin = live.is_admin;
  caller.credential_hash = live.session.token_hash;
  return caller;
}

Task<std::optional<Caller>> Credentials::look_up(std::string hash, bool is_key) {
  if (is_key) {
    auto read = [&hash](db::Connection& connection) { return store::find_api_key(connection, hash); };
    const auto key = co_await database_.read(read);
    if (!key) co_return std::nullopt;
    co_return caller_of(*key);
  }
  auto read = [&hash](db::Connection& connection) { return store::find_session(connection, hash); };
  const auto live = co_await database_.read(read);
  const auto at = now();
  if (!live || live->session.expires_at <= at ||
      after(live->session.used_at, limits::kSessionIdle + limits::kCredentialUsedPeriod) <= at)
    co_return std::nullopt;
  if (live->status != store::UserStatus::active)
    throw api::PublicError(ErrorCode::permission_denied, 403, "account_deactivated",
                           "the account is not active; ask an administrator");
  if (!live->role) co_return std::nullopt;
  co_return caller_of(*live);
}

void Credentials::note_used(Entry& entry, SteadyTime at) {
  if (entry.used_written != SteadyTime{} && at - entry.used_written < limits::kCredentialUsedPeriod) return;
  entry.used_written = at;
  background_.spawn(write_used(entry.caller));
}

Task<> Credentials::write_used(Caller caller) {
  const auto at = now();
  auto write = [&caller, at](db::Connection& connection) {
    if (caller.user)
      store::set_session_used(connection, caller.credential_hash, at);
    else if (const auto key = model::ApiKeyId::parse(caller.actor.id))
      store::set_api_key_used(connection, *key, at);
  };
  // Not worth a word: the next use writes it, and those whom the database fails tell of it.
  co_await note(database_, write, log::Level::debug, "the use of a credential was not noted", caller.actor.id);
}

}  // namespace wrenn::cp::service
