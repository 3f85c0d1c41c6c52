#include "cp/service/accounts.h"

#include <algorithm>

#include "api/errors.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/crypto/password.h"
#include "cp/limits.h"
#include "cp/service/account_rules.h"
#include "cp/service/changes.h"
#include "cp/service/teams.h"
#include "cp/store/api_keys.h"
#include "cp/store/sessions.h"
#include "cp/store/teams.h"

namespace wrenn::cp::service {

using store::User;
using store::UserStatus;

static constexpr std::size_t kTokenBytes = 16;

[[noreturn]] static void refuse(int status, std::string_view code, std::string message) {
  const auto inner = status == 401   ? ErrorCode::unauthenticated
                     : status == 403 ? ErrorCode::permission_denied
                     : status == 409 ? ErrorCode::already_exists
                                     : ErrorCode::invalid_argument;
  throw api::PublicError(inner, status, std::string(code), std::move(message));
}

static Recipient recipient(const User& user) {
  return {user.email, user.name};
}

// Replaces earlier ones of the purpose: the newest mail counts.
static void insert_token(db::Connection& connection, std::string_view token, std::string_view purpose,
                         const model::UserId& user, UnixTime expires_at) {
  store::erase_one_time_tokens_of(connection, user, purpose);
  store::insert_one_time_token(connection, {hash_secret(token), std::string(purpose), user, "", expires_at});
}

std::string new_team_slug() {
  return random_hex(3) + "-" + random_hex(3);
}

model::TeamId ensure_default_team(db::Connection& connection, const User& user, UnixTime at) {
  if (!user.is_admin && store::count_active_users(connection) == 1)
    store::set_user_admin(connection, user.id, true, at);
  if (const auto joined = store::default_team_of(connection, user.id)) return joined->team.id;
  const store::Team team{model::TeamId::random(), user.name + "'s Team", new_team_slug(), at, false, {}};
  store::insert_team(connection, team);
  store::insert_membership(connection, {user.id, team.id, model::Role::owner, true, at});
  return team.id;
}

User insert_active_user(db::Connection& connection, std::string email, std::string name,
                        std::optional<std::string> password_hash, UnixTime at) {
  // One that never followed its link holds nothing but the address.
  if (const auto same = store::find_user(connection, email); same && same->status == UserStatus::inactive)
    store::erase_user(connection, same->id);
  User user;
  user.id = model::UserId::random();
  user.email = std::move(email);
  user.name = std::move(name);
  user.password_hash = std::move(password_hash);
  user.status = UserStatus::active;
  user.created_at = user.updated_at = at;
  store::insert_user(connection, user);
  ensure_default_team(connection, user, at);
  return user;
}

Accounts::Accounts(db::Database& database, Credentials& credentials, Post& post, std::string app_url,
                   bool limited)
    : database_(database),
      credentials_(credentials),
      post_(post),
      app_url_(std::move(app_url)),
      limited_(limited),
      passwords_("passwords", limits::kPasswordThreads),
      by_address_({limits::kAddressBurst, limits::kAddressPeriod}),
      by_account_({limits::kAccountBurst, limits::kAccountPeriod}),
      by_mail_({limits::kMailBurst, limits::kMailPeriod}) {}

void Accounts::count_attempt(const std::string& from, std::string_view account) {
  if (!limited_) return;
  const auto at = SteadyClock::now();
  auto wait = by_address_.refuse(network_of(from), at);
  if (!wait && !account.empty()) wait = by_account_.refuse(account, at);
  if (wait) throw api::RateLimited(*wait);
}

Task<std::string> Accounts::hash(std::string password) {
  auto work = [&password] { return crypto::hash_password(password); };
  co_return co_await async::offload(passwords_, work);
}

Task<bool> Accounts::check(std::string password, User user) {
  auto work = [&] {
    if (user.password_hash) return crypto::check_password(password, *user.password_hash);
    crypto::waste_password_time(password);
    return crypto::PasswordCheck::wrong;
  };
  const auto told = co_await async::offload(passwords_, work);
  if (told == crypto::PasswordCheck::right_but_old)
    co_await write_better_hash(user.id, *user.password_hash, std::move(password));
  co_return told != crypto::PasswordCheck::wrong;
}

Task<> Accounts::write_better_hash(model::UserId id, std::string old_hash, std::string password) {
  const auto better = co_await hash(std::move(password));
  auto write = [&](db::Connection& connection) {
    const auto current = store::find_user(connection, id);
    if (current && current->password_hash == old_hash)
      store::set_user_password(connection, id, better, now());
  };
  co_await database_.write(write);
}

// --- sign-up
// --------------------------------------------------------------------------------------------------------

Task<> Accounts::sign_up(std::string from, std::string email, std::string password, std::string name) {
  User user;
  user.id = model::UserId::random();
  user.email = admit_email(email);
  admit_password(password);
  user.name = admit_user_name(name);
  count_attempt(from, user.email);
  user.password_hash = co_await hash(password);
  user.created_at = user.updated_at = now();
  const auto token = random_hex(kTokenBytes);
  enum class Told { done, taken, cooldown };
  std::optional<User> waiting;
  auto write = [&](db::Connection& connection) {
    if (auto same = store::find_user(connection, user.email)) {
      if (same->status != UserStatus::inactive) return Told::taken;
      if (after(same->created_at, limits::kSignupCooldown) > user.created_at) {
        waiting = std::move(same);
        return Told::cooldown;
      }
      store::erase_user(connection, same->id);
    }
    store::insert_user(connection, user);
    insert_token(connection, token, store::kActivation, user.id,
                 after(user.created_at, limits::kActivationLife));
    return Told::done;
  };
  const auto told = co_await database_.write(write);
  if (told == Told::taken) refuse(409, "email_taken", "an account with this email exists already; sign in");
  if (told == Told::cooldown) {
    const bool doubted = !co_await check(std::move(password), *waiting);
    if (doubted) co_await drop_doubted_password(waiting->id);
    refuse(409, "signup_cooldown",
           doubted ? "an activation mail was sent to this address less than 30 minutes ago, for another "
                     "password; follow its link, then choose a password"
                   : "an activation mail was sent to this address less than 30 minutes ago; follow its link");
  }
  post_.send(activation_letter(recipient(user), app_url_, token));
}

// Two people have chosen passwords for one address, and the mail will be followed by the one who has the
// mailbox: neither password may enter the account that he activates.
Task<> Accounts::drop_doubted_password(model::UserId id) {
  auto write = [&](db::Connection& connection) {
    const auto user = store::find_user(connection, id);
    if (user && user->status == UserStatus::inactive)
      store::clear_user_password(connection, id, now());
  };
  co_await database_.write(write);
}

Task<SignedIn> Accounts::activate(std::string from, std::string token) {
  count_attempt(from, {});
  if (trim(token).empty()) throw_error(ErrorCode::invalid_argument, "token is required");
  const auto at = now();
  enum class Told { done, invalid, active };
  auto told = Told::invalid;
  SignedIn result;
  auto write = [&](db::Connection& connection) {
    told = Told::invalid;
    const auto taken = store::take_one_time_token(connection, hash_secret(token), store::kActivation, at);
    if (!taken || !taken->user) return;
    auto user = store::find_user(connection, *taken->user);
    if (!user) return;
    if (user->status != UserStatus::inactive) {
      told = Told::active;
      return;
    }
    store::set_user_status(connection, user->id, UserStatus::active, at);
    const auto team = ensure_default_team(connection, *user, at);
    result = {begin_session(connection, user->id, team, at), user->id, team, user->email, user->name};
    told = Told::done;
  };
  co_await database_.write(write);
  if (told == Told::invalid)
    refuse(400, "invalid_token", "the link is not valid (any more); sign up again to get another");
  if (told == Told::active) refuse(400, "already_activated", "the account is active already; sign in");
  co_return result;
}

// --- sign-in
// --------------------------------------------------------------------------------------------------------

Task<SignedIn> Accounts::log_in(std::string from, std::string email, std::string password) {
  if (trim(email).empty() || password.empty())
    throw_error(ErrorCode::invalid_argument, "email and password are required");
  const auto address = to_lower(trim(email));
  count_attempt(from, address);
  auto find = [&](db::Connection& connection) { return store::find_user(connection, address); };
  auto user = co_await database_.read(find);
  // As long for an account that does not exist; and what state it is in is told to its owner only.
  if (!co_await check(std::move(password), user.value_or(User{})))
    throw_error(ErrorCode::unauthenticated, "invalid email or password");
  if (user->status == UserStatus::inactive)
    refuse(403, "account_not_activated",
           "the account is not activated; follow the link in the activation mail");
  if (user->status != UserStatus::active)
    refuse(403, "account_disabled", "the account is disabled; ask an administrator");
  by_account_.forget(address);
  co_return co_await begin(user->id);
}

Task<SignedIn> Accounts::begin(model::UserId id) {
  const auto at = now();
  auto write = [&](db::Connection& connection) -> std::optional<SignedIn> {
    const auto user = store::find_user(connection, id);
    if (!user || user->status != UserStatus::active) return std::nullopt;
    const auto team = ensure_default_team(connection, *user, at);
    return SignedIn{begin_session(connection, id, team, at), id, team, user->email, user->name};
  };
  auto signed_in = co_await database_.write(write);
  if (!signed_in) refuse(403, "account_disabled", "the account is disabled; ask an administrator");
  co_return std::move(*signed_in);
}

void Accounts::tell_linked(const User& user, std::string_view provider) {
  post_.send(provider_linked_letter(recipient(user), provider));
}

Task<> Accounts::log_out(Caller caller) {
  auto write = [&](db::Connection& connection) {
    store::erase_session(connection, caller.credential_hash);
    announce_revocation(connection);
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<SignedIn> Accounts::switch_team(Caller caller, model::TeamId team) {
  enum class Told { done, no_team, no_member };
  auto write = [&](db::Connection& connection) {
    const auto row = store::find_team(connection, team);
    if (!row || row->deleted_at) return Told::no_team;
    if (!store::find_membership(connection, team, *caller.user)) return Told::no_member;
    store::set_session_team(connection, caller.credential_hash, team);
    announce_revocation(connection);
    return Told::done;
  };
  const auto told = co_await database_.write(write);
  if (told == Told::no_team) throw_error(ErrorCode::not_found, "team not found");
  if (told == Told::no_member) throw_error(ErrorCode::permission_denied, "you are not a member of this team");
  credentials_.forget_all();
  co_return SignedIn{"", *caller.user, team, caller.actor.name, caller.user_name};
}

// --- passwords
// ------------------------------------------------------------------------------------------------------

Task<> Accounts::request_reset(std::string from, std::string email) {
  const auto address = to_lower(trim(email));
  count_attempt(from, {});
  // Silently: who asks must not learn whether there is such an account.
  if (limited_ && by_mail_.refuse(address, SteadyClock::now())) co_return;
  const auto at = now();
  const auto token = random_hex(kTokenBytes);
  auto write = [&](db::Connection& connection) {
    auto user = store::find_user(connection, address);
    if (!user || user->status != UserStatus::active) return std::optional<User>();
    insert_token(connection, token, store::kPasswordReset, user->id, after(at, limits::kPasswordResetLife));
    return user;
  };
  if (const auto user = co_await database_.write(write))
    post_.send(reset_letter(recipient(*user), app_url_, token));
}

Task<> Accounts::confirm_reset(std::string from, std::string token, std::string new_password) {
  count_attempt(from, {});
  if (trim(token).empty()) throw_error(ErrorCode::invalid_argument, "token is required");
  admit_password(new_password, "new_password");
  const auto hashed = co_await hash(std::move(new_password));
  const auto at = now();
  std::vector<std::string> providers;
  auto write = [&](db::Connection& connection) -> std::optional<User> {
    const auto taken = store::take_one_time_token(connection, hash_secret(token), store::kPasswordReset, at);
    if (!taken || !taken->user) return std::nullopt;
    auto user = store::find_user(connection, *taken->user);
    if (!user || user->status != UserStatus::active) return std::nullopt;
    store::set_user_password(connection, user->id, hashed, at);
    // Who resets a password may do so because somebody else knows what he should not.
    store::erase_sessions_of(connection, user->id);
    store::erase_api_keys_by(connection, user->id);
    store::erase_one_time_tokens_of(connection, user->id, store::kOauth);
    providers.clear();
    for (auto& one : store::identities_of(connection, user->id)) providers.push_back(std::move(one.provider));
    announce_revocation(connection);
    return user;
  };
  const auto user = co_await database_.write(write);
  if (!user) refuse(400, "invalid_token", "the link is not valid (any more); ask for another");
  credentials_.forget_all();
  post_.send(password_was_reset_letter(recipient(*user), providers));
}

Task<User> Accounts::user_of(const Caller& caller) {
  auto read = [&](db::Connection& connection) { return store::find_user(connection, *caller.user); };
  auto user = co_await database_.read(read);
  if (!user) throw_error(ErrorCode::unauthenticated, "user not found");
  co_return std::move(*user);
}

Task<> Accounts::change_password(Caller caller, std::string from, std::string current,
                                 std::string new_password, std::string confirmation) {
  auto user = co_await user_of(caller);
  const bool had_one = user.password_hash.has_value();
  if (had_one && current.empty()) throw_error(ErrorCode::invalid_argument, "current_password is required");
  if (!had_one && confirmation != new_password)
    throw_error(ErrorCode::invalid_argument, "confirm_password must equal new_password");
  admit_password(new_password, "new_password");
  count_attempt(from, user.email);
  if (had_one && !co_await check(std::move(current), user))
    refuse(401, "wrong_password", "current_password is wrong");
  const auto hashed = co_await hash(std::move(new_password));
  auto write = [&](db::Connection& connection) {
    store::set_user_password(connection, user.id, hashed, now());
    store::erase_sessions_of(connection, user.id, caller.credential_hash);
    for (const auto purpose : {store::kPasswordReset, store::kOauth})
      store::erase_one_time_tokens_of(connection, user.id, purpose);
    announce_revocation(connection);
  };
  co_await database_.write(write);
  credentials_.forget_all();
  post_.send(had_one ? password_changed_letter(recipient(user)) : password_added_letter(recipient(user)));
}

// --- the account itself
// ---------------------------------------------------------------------------------------------

Task<Accounts::Profile> Accounts::profile(Caller caller) {
  Profile profile{co_await user_of(caller), {}};
  auto read = [&](db::Connection& connection) { return store::identities_of(connection, *caller.user); };
  const auto identities = co_await database_.read(read);
  for (const auto& one : identities) profile.providers.push_back(one.provider);
  co_return profile;
}

Task<> Accounts::rename(Caller caller, std::string name) {
  const auto admitted = admit_user_name(name);
  auto write = [&](db::Connection& connection) {
    store::set_user_name(connection, *caller.user, admitted, now());
    announce_revocation(connection);  // it is remembered with the session
  };
  co_await database_.write(write);
  credentials_.forget_all();
}

Task<> Accounts::disconnect(Caller caller, std::string provider) {
  enum class Told { done, last, none };
  auto write = [&](db::Connection& connection) {
    const auto user = store::find_user(connection, *caller.user);
    const auto identities = store::identities_of(connection, *caller.user);
    if (user && !user->password_hash && identities.size() <= 1) return Told::last;
    return store::erase_identity(connection, *caller.user, provider) ? Told::done : Told::none;
  };
  const auto told = co_await database_.write(write);
  if (told == Told::last)
    refuse(400, "last_login_method", "this is the only way to sign in to the account; set a password first");
  if (told == Told::none) throw_error(ErrorCode::not_found, "the account is not connected with {}", provider);
}

Task<> Accounts::delete_account(Caller caller, std::string confirmation) {
  const auto user = co_await user_of(caller);
  if (to_lower(trim(confirmation)) != user.email)
    throw_error(ErrorCode::invalid_argument, "confirmation must be the account's email");
  const auto at = now();
  std::int64_t shared = 0;
  auto write = [&](db::Connection& connection) {
    shared = 0;
    std::vector<model::TeamId> alone;
    for (const auto& joined : store::teams_of(connection, user.id)) {
      if (joined.role != model::Role::owner) continue;
      const bool is_alone = store::members_of(connection, joined.team.id).size() == 1;
      if (!is_alone) ++shared;
      if (is_alone) alone.push_back(joined.team.id);
    }
    if (shared > 0) return;
    for (const auto& team : alone) end_team(connection, team, at);
    for (const auto& joined : store::teams_of(connection, user.id))
      store::erase_membership(connection, joined.team.id, user.id);
    store::erase_sessions_of(connection, user.id);
    store::erase_api_keys_by(connection, user.id);
    store::set_user_status(connection, user.id, UserStatus::deleted, at);
    announce_revocation(connection);
  };
  co_await database_.write(write);
  if (shared > 0)
    refuse(
        409, "owns_team_with_members",
        fmt::format("you own {} team(s) with other members; remove them or delete the teams first", shared));
  credentials_.forget_all();
  post_.send(account_deleted_letter(recipient(user)));
}

Task<std::vector<User>> Accounts::search(std::string prefix) {
  static constexpr std::size_t kLeast = 3;
  const auto wanted = to_lower(trim(prefix));
  if (wanted.size() < kLeast)
    throw_error(ErrorCode::invalid_argument, "email must have at least {} characters", kLeast);
  auto read = [&](db::Connection& connection) {
    return store::users_starting_with(connection, wanted, limits::kUserSearchRows);
  };
  co_return co_await database_.read(read);
}

}  // namespace wrenn::cp::service
