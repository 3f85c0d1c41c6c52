#include "cp/service/oauth_sign_in.h"

#include "api/errors.h"
#include "core/base/random.h"
#include "core/base/secret.h"
#include "core/log/log.h"
#include "cp/limits.h"
#include "cp/service/account_rules.h"
#include "cp/service/changes.h"
#include "cp/store/sessions.h"

namespace wrenn::cp::service {

static constexpr std::size_t kStateBytes = 16;

static std::string_view word_of(Intent intent) noexcept {
  switch (intent) {
    case Intent::login:
      return "login";
    case Intent::signup:
      return "signup";
    case Intent::link:
      return "link";
  }
  return "";
}

oauth::Provider& OauthSignIn::require(const std::string& name) const {
  auto* provider = providers_.find(name);
  if (provider == nullptr)
    throw api::PublicError(ErrorCode::not_found, 404, "provider_not_found",
                           fmt::format("there is no sign-in with {} here", name));
  return *provider;
}

std::string OauthSignIn::callback_of(const std::string& provider) const {
  return fmt::format("{}/auth/oauth/{}/callback", public_url_, provider);
}

Task<OauthSignIn::Begun> OauthSignIn::begin(std::string name, Intent intent,
                                            std::optional<model::UserId> user) {
  const auto& provider = require(name);
  Begun begun;
  begun.state = random_hex(kStateBytes);
  begun.url = provider.authorize_url(begun.state, callback_of(name));
  store::OneTimeToken token;
  token.token_hash = hash_secret(begun.state);
  token.purpose = store::kOauth;
  token.user = user;
  token.payload = fmt::format("{} {}", word_of(intent), name);
  token.expires_at = after(now(), limits::kOauthLife);
  auto write = [&](db::Connection& connection) { store::insert_one_time_token(connection, token); };
  co_await database_.write(write);
  co_return begun;
}

static OauthSignIn::Ended ended_with(Intent intent, std::string error) {
  OauthSignIn::Ended ended;
  ended.intent = intent;
  ended.error = std::move(error);
  return ended;
}

Task<OauthSignIn::Ended> OauthSignIn::finish(std::string name, std::string state, std::string cookie,
                                             std::string code) {
  auto& provider = require(name);
  // The cookie shows that this browser began it: a link with somebody else's state leads nowhere.
  if (state.empty() || !constant_time_equal(state, cookie))
    co_return ended_with(Intent::login, "invalid_state");
  auto take = [&](db::Connection& connection) {
    return store::take_one_time_token(connection, hash_secret(state), store::kOauth, now());
  };
  const auto token = co_await database_.write(take);
  auto intent = Intent::login;
  bool known = false;
  for (const auto one : {Intent::login, Intent::signup, Intent::link})
    if (token && token->payload == fmt::format("{} {}", word_of(one), name)) {
      intent = one;
      known = true;
    }
  if (!known || (intent == Intent::link) != token->user.has_value())
    co_return ended_with(Intent::login, "invalid_state");
  if (code.empty()) co_return ended_with(intent, "missing_code");

  std::exception_ptr failure;
  oauth::Identity identity;
  try {
    identity = co_await provider.identify(std::move(code), callback_of(name));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (async::is_cancellation(failure)) std::rethrow_exception(failure);
    log::warn("a sign-in with a provider failed", {{"provider", name}, {"error", describe(failure)}});
    co_return ended_with(intent, "exchange_failed");
  }
  if (intent == Intent::link) co_return co_await link(*token->user, name, std::move(identity));
  co_return co_await enter(intent, name, std::move(identity));
}

Task<OauthSignIn::Ended> OauthSignIn::enter(Intent intent, std::string provider, oauth::Identity identity) {
  const auto at = now();
  std::string error;
  bool made = false;
  std::optional<model::UserId> user;
  auto write = [&](db::Connection& connection) {
    error.clear();
    made = false;
    user.reset();
    if (const auto known = store::find_identity(connection, provider, identity.id)) {
      const auto row = store::find_user(connection, known->user);
      if (row && row->status == store::UserStatus::active)
        user = row->id;
      else
        error = "account_deactivated";
      return;
    }
    if (intent == Intent::login) {
      error = "no_account";
      return;
    }
    if (identity.email.empty()) {
      error = "no_verified_email";
      return;
    }
    const auto email = admit_email(identity.email);
    const auto same = store::find_user(connection, email);
    if (same && same->status != store::UserStatus::inactive) {
      error = "email_taken";
      return;
    }
    auto name = identity.name.empty() ? email.substr(0, email.find('@')) : identity.name;
    const auto row = insert_active_user(connection, email, std::move(name), std::nullopt, at);
    store::insert_identity(connection, {provider, identity.id, row.id, email, at});
    user = row.id;
    made = true;
  };
  co_await database_.write(write);
  auto ended = ended_with(intent, std::move(error));
  if (user) ended.signed_in = co_await accounts_.begin(*user);
  ended.new_account = made;
  co_return ended;
}

Task<OauthSignIn::Ended> OauthSignIn::link(model::UserId user, std::string provider,
                                           oauth::Identity identity) {
  const auto at = now();
  std::string error;
  std::optional<store::User> linked;
  auto write = [&](db::Connection& connection) {
    error.clear();
    linked.reset();
    const auto row = store::find_user(connection, user);
    if (!row || row->status != store::UserStatus::active) {
      error = "account_deactivated";
      return;
    }
    const auto known = store::find_identity(connection, provider, identity.id);
    if (known && known->user == user) return;
    bool has_another = false;
    for (const auto& one : store::identities_of(connection, user)) has_another |= one.provider == provider;
    if (known || has_another) {
      error = "already_linked";
      return;
    }
    store::insert_identity(connection, {provider, identity.id, user, identity.email, at});
    linked = row;
  };
  co_await database_.write(write);
  if (linked) accounts_.tell_linked(*linked, provider);
  co_return ended_with(Intent::link, std::move(error));
}

}  // namespace wrenn::cp::service
