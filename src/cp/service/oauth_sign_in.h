// Sign-in by way of a provider: the way there and back, and whose account the identity is.
//
//   browser ─▶ begin(): state in the database and in a cookie ─▶ provider ─▶ finish(): both must be the same,
//                                                                            once, within limits::kOauthLife
#pragma once

#include <optional>
#include <string>

#include "core/db/database.h"
#include "cp/oauth/provider.h"
#include "cp/service/accounts.h"

namespace wrenn::cp::service {

enum class Intent {
  login,   // an account must be there
  signup,  // one is made if there is none
  link,    // the account that is signed in can be entered this way, too
};

class OauthSignIn {
 public:
  // All must outlive this. `public_url`: where providers send browsers back to us, without a slash at its
  // end.
  OauthSignIn(db::Database& database, Accounts& accounts, const oauth::Registry& providers,
              std::string public_url)
      : database_(database), accounts_(accounts), providers_(providers), public_url_(std::move(public_url)) {}

  struct Begun {
    std::string state;  // for a cookie of the browser
    std::string url;    // where to send it
  };
  // Throws PublicError provider_not_found. `user` is who is linked.
  Task<Begun> begin(std::string provider, Intent intent, std::optional<model::UserId> user);

  // How it ended: the words are told to the browser in a redirect.
  struct Ended {
    Intent intent = Intent::login;
    std::string error;  // empty: it worked. invalid_state, exchange_failed, no_verified_email, no_account,
                        // email_taken, account_deactivated, already_linked
    std::optional<SignedIn> signed_in;  // not after a link
    bool new_account = false;
  };
  // `state` is the query's, `cookie` the browser's. Throws PublicError provider_not_found, what the database
  // throws.
  Task<Ended> finish(std::string provider, std::string state, std::string cookie, std::string code);

 private:
  oauth::Provider& require(const std::string& name) const;
  std::string callback_of(const std::string& provider) const;
  Task<Ended> enter(Intent intent, std::string provider, oauth::Identity identity);
  Task<Ended> link(model::UserId user, std::string provider, oauth::Identity identity);

  db::Database& database_;
  Accounts& accounts_;
  const oauth::Registry& providers_;
  const std::string public_url_;
};

}  // namespace wrenn::cp::service
