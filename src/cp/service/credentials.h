// Credentials of a request → who asks. API keys and sessions, remembered for a short time.
//
// What was revoked must be refused at once, and by every control plane that shares the database: whoever
// revokes something announces it in the same transaction, and each process then forgets all that it
// remembers. While announcements cannot be heard nothing is remembered.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/async/scope.h"
#include "core/base/clock.h"
#include "core/db/database.h"
#include "cp/service/caller.h"

namespace wrenn::cp::service {

using async::Task;

inline constexpr std::string_view kSessionPrefix = "wrs_";
// The session of a browser (spec/gaps.md §4).
inline constexpr std::string_view kSessionCookie = "wrenn_session", kCsrfCookie = "wrenn_csrf",
                                  kCsrfHeader = "X-CSRF-Token";

// What the database holds of a key or token: SHA-256, hex. They are random, so no salt and no slow hash is needed.
std::string hash_secret(std::string_view secret);

// The channel of the announcement; see db::Database::on_notification().
inline constexpr std::string_view kRevocations = "wrenn_revocations";
// In the transaction that revokes keys or sessions, or changes what a user may do.
void announce_revocation(db::Connection& connection);

// A session for `user` in `team`, which he belongs to. Returns its token, which the database does not hold.
std::string begin_session(db::Connection& connection, const model::UserId& user, const model::TeamId& team,
                          UnixTime at);
// What a page of ours must send in a header to show that it can read our cookies (double submit): derived
// from the token, so nothing of it is stored.
std::string csrf_token(std::string_view session_token);

class Credentials {
 public:
  // `background` must be joined before this dies.
  Credentials(db::Database& database, async::Scope& background)
      : database_(database), background_(background), changed_(background.executor()) {}

  // Whether announcements of other processes arrive; set by who listens.
  std::function<bool()> hears_others = [] { return true; };

  // `text` is an API key of either spelling or the token of a session. Absent for what is unknown, revoked or
  // expired. Throws PublicError account_deactivated for a session of a user who is not active, what the
  // database throws.
  Task<std::optional<Caller>> find(std::string text);

  void forget_all() noexcept {
    ++generation_;
    cache_.clear();
    changed_.notify_all();
  }

  // For what lasts longer than a request: returns when something was revoked somewhere, and from time to time
  // while that cannot be heard. Throws Error(canceled).
  Task<> change();
  // Whether the key or session still stands for this caller. While the database does not answer it does.
  Task<bool> is_good(Caller caller);

 private:
  struct Entry {
    Caller caller;
    SteadyTime valid_until;
    SteadyTime used_written;
  };
  Task<std::optional<Caller>> find_hash(std::string hash, bool is_key);
  Task<std::optional<Caller>> look_up(std::string hash, bool is_key);
  Task<> write_used(Caller caller);
  void note_used(Entry& entry, SteadyTime at);

  db::Database& database_;
  async::Scope& background_;
  std::unordered_map<std::string, Entry> cache_;  // by hash
  std::uint64_t generation_ = 0;
  async::Event changed_;
};

}  // namespace wrenn::cp::service
