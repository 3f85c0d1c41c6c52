// Accounts: sign-up, sign-in, passwords, the end. No HTTP here.
//
//   sign_up ─▶ inactive ──activate──▶ active ◀──enable/disable──▶ disabled
//                 │ too late                │ delete_account
//                 ▼ signed up anew          ▼
//               erased                   deleted ──15 days──▶ erased (worker/housekeeping)
//
// Each way in ends in SignedIn: the account is active, has a team, and a session begins.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/async/offload.h"
#include "core/db/database.h"
#include "cp/service/caller.h"
#include "cp/service/credentials.h"
#include "cp/service/post.h"
#include "cp/service/rate_limiter.h"
#include "cp/store/users.h"

namespace wrenn::cp::service {

struct SignedIn {
  std::string token;  // of the session
  model::UserId user;
  model::TeamId team;
  std::string email, name;
};

// Makes the account's team if it has none, and its user an admin of the platform if he is the only active
// one. Returns the team where his sessions begin.
model::TeamId ensure_default_team(db::Connection& connection, const store::User& user, UnixTime at);
std::string new_team_slug();  // "xxxxxx-yyyyyy"
// An active account with its team. Throws Error(already_exists) when the address is taken.
store::User insert_active_user(db::Connection& connection, std::string email, std::string name,
                               std::optional<std::string> password_hash, UnixTime at);

class Accounts {
 public:
  // All must outlive this. `app_url`: where links in mails lead. `limited`: attempts are counted.
  Accounts(db::Database& database, Credentials& credentials, Post& post, std::string app_url, bool limited);

  // `from` is the network address that asks. All of these throw PublicError rate_limited (429) when it, or
  // whoever else, asks too often; Error(invalid_argument) for what cannot be an address, a password, a name.

  // Sends the activation mail. Throws PublicError email_taken, signup_cooldown; a second sign-up with another
  // password leaves the account, once it is activated, without any.
  Task<> sign_up(std::string from, std::string email, std::string password, std::string name);
  // Throws PublicError invalid_token, already_activated.
  Task<SignedIn> activate(std::string from, std::string token);
  // Throws Error(unauthenticated), PublicError account_not_activated, account_disabled: the last two only to
  // who knows the password.
  Task<SignedIn> log_in(std::string from, std::string email, std::string password);
  // Sends a mail if there is such an active account; nobody is told whether there is.
  Task<> request_reset(std::string from, std::string email);
  // Ends all sessions, and revokes the keys that the user has made. Throws PublicError invalid_token.
  Task<> confirm_reset(std::string from, std::string token, std::string new_password);

  Task<> log_out(Caller caller);
  // Throws Error(not_found) for a team that is none (any more), Error(permission_denied) for another's. The
  // token of the session stays as it is, and the session is in another team.
  Task<SignedIn> switch_team(Caller caller, model::TeamId team);

  struct Profile {
    store::User user;
    std::vector<std::string> providers;
  };
  Task<Profile> profile(Caller caller);
  Task<> rename(Caller caller, std::string name);
  // `current` is looked at if the account has a password; else `confirmation` must equal the new one. Other
  // sessions end. Throws PublicError wrong_password.
  Task<> change_password(Caller caller, std::string from, std::string current, std::string new_password,
                         std::string confirmation);
  // Throws PublicError last_login_method, Error(not_found).
  Task<> disconnect(Caller caller, std::string provider);
  // `confirmation` must be the address. The teams that he alone belongs to end with him. Throws PublicError
  // owns_team_with_members.
  Task<> delete_account(Caller caller, std::string confirmation);

  // Active accounts whose address begins so.
  Task<std::vector<store::User>> search(std::string prefix);

  // What OAuth shares: a session of an account that is active.
  Task<SignedIn> begin(model::UserId user);
  // Tells the user by mail that his account can be entered by way of `provider` now.
  void tell_linked(const store::User& user, std::string_view provider);

 private:
  void count_attempt(const std::string& from, std::string_view account);
  Task<std::string> hash(std::string password);
  Task<bool> check(std::string password, store::User user);
  Task<store::User> user_of(const Caller& caller);
  Task<> drop_doubted_password(model::UserId id);
  Task<> write_better_hash(model::UserId id, std::string old_hash, std::string password);

  db::Database& database_;
  Credentials& credentials_;
  Post& post_;
  const std::string app_url_;
  const bool limited_;
  async::ThreadPool passwords_;
  RateLimiter by_address_, by_account_, by_mail_;
};

}  // namespace wrenn::cp::service
