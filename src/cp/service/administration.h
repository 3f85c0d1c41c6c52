// What admins of the platform do with users and teams. Every call is in the audit log of the platform team.
#pragma once

#include <string>
#include <vector>

#include "core/async/task.h"
#include "core/db/database.h"
#include "cp/service/caller.h"
#include "cp/store/teams.h"
#include "cp/store/users.h"

namespace wrenn::cp::service {

using async::Task;

class Credentials;

template <typename Row>
struct Page {
  std::vector<Row> rows;
  std::int64_t number = 1;  // from 1
  std::int64_t total = 0;   // rows of all pages
};

class Administration {
 public:
  // Both must outlive this.
  Administration(db::Database& database, Credentials& credentials)
      : database_(database), credentials_(credentials) {}

  Task<Page<store::TeamSummary>> teams(std::int64_t page);
  // One way: a team that has hosts of its own cannot be without. Throws Error(not_found).
  Task<> set_byoc(Caller caller, model::TeamId team);
  Task<> remove_team(Caller caller, model::TeamId team);

  Task<Page<store::UserSummary>> users(std::int64_t page);
  // Disabled: sessions end, keys that he made are revoked, and the capsules of teams that he alone belongs to
  // are paused (worker/housekeeping). Throws Error(not_found), Error(invalid_argument) for himself.
  Task<> set_active(Caller caller, model::UserId user, bool active);
  // Throws Error(not_found), Error(invalid_argument) for the last admin.
  Task<> set_admin(Caller caller, model::UserId user, bool admin);

 private:
  db::Database& database_;
  Credentials& credentials_;
};

// What `wrenn admin` does on the database itself, as "system". Throw as above; what the database throws.
namespace on_database {
store::User grant_admin(db::Connection& connection, const std::string& email);
store::User activate(db::Connection& connection, const std::string& email);
}  // namespace on_database

}  // namespace wrenn::cp::service
