#include "cp/service/bootstrap.h"

#include "core/base/random.h"
#include "cp/service/accounts.h"
#include "cp/service/api_keys.h"
#include "cp/service/credentials.h"
#include "cp/store/api_keys.h"
#include "cp/store/teams.h"

namespace wrenn::cp {

DevCredentials bootstrap_dev(db::Database& database, const std::string& known_key) {
  DevCredentials credentials;
  database.write_now([&](db::Connection& connection) {
    credentials = {};
    if (const auto known = service::parse_api_key(known_key)) {
      if (const auto key = store::find_api_key(connection, service::hash_secret(*known))) {
        credentials.team = key->team;
        credentials.api_key = Secret(*known);
        return;
      }
    }
    const auto at = now();
    auto team = store::first_team(connection);
    if (!team) {
      team = store::Team{model::TeamId::random(), "Development", service::new_team_slug(), at, false, {}};
      store::insert_team(connection, *team);
    }
    const auto text = service::new_api_key();
    store::insert_api_key(connection, {model::ApiKeyId::random(),
                                       team->id,
                                       "wrenn dev",
                                       service::hash_secret(text),
                                       text.substr(0, service::kApiKeyShownChars),
                                       at,
                                       {},
                                       {}});
    credentials.team = team->id;
    credentials.api_key = Secret(text);
    credentials.created = true;
  });
  return credentials;
}

}  // namespace wrenn::cp
