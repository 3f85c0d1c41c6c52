#include "cp/admin.h"

#include "core/base/random.h"
#include "core/crypto/password.h"
#include "cp/run.h"
#include "cp/service/account_rules.h"
#include "cp/service/accounts.h"
#include "cp/service/administration.h"
#include "cp/service/audit.h"
#include "cp/store/teams.h"

namespace wrenn::cp {

MadeUser create_user(const Config& config, NewUser user) {
  static constexpr std::size_t kPasswordBytes = 12;
  MadeUser made;
  made.email = service::admit_email(user.email);
  const auto name = service::admit_user_name(user.name.empty() ? made.email : user.name);
  if (user.password.empty()) made.password = Secret(random_hex(kPasswordBytes));
  const auto& password = user.password.empty() ? made.password : user.password;
  service::admit_password(password.reveal());
  const auto hash = crypto::hash_password(password.reveal());
  const auto database = open_database(config);
  database->write_now([&](db::Connection& connection) {
    const auto row = service::insert_active_user(connection, made.email, name, hash, now());
    made.id = row.id.text();
    if (const auto team = store::default_team_of(connection, row.id)) made.team = team->team.id.text();
    service::audit::write(connection, service::audit::kUserCreate, model::kPlatformTeam, {}, made.id,
                          {{"email", made.email}});
    if (user.admin) service::on_database::grant_admin(connection, made.email);
  });
  return made;
}

void grant_admin(const Config& config, const std::string& email) {
  const auto address = service::admit_email(email);
  open_database(config)->write_now(
      [&](db::Connection& connection) { service::on_database::grant_admin(connection, address); });
}

void activate_user(const Config& config, const std::string& email) {
  const auto address = service::admit_email(email);
  open_database(config)->write_now(
      [&](db::Connection& connection) { service::on_database::activate(connection, address); });
}

std::optional<std::string> backup(const Config& config) {
  auto label = to_rfc3339(now());
  std::erase(label, ':');
  return open_database(config)->backup_now(label);
}

}  // namespace wrenn::cp
