#include "cp/store/installation.h"

namespace wrenn::cp::store {

std::optional<std::string> installation_fact(db::Connection& connection, std::string_view name) {
  std::optional<std::string> value;
  connection.query("SELECT value FROM installation WHERE name = $1", {name},
                   [&](const db::Row& row) { value = row.text(0); });
  return value;
}

std::string keep_installation_fact(db::Connection& connection, std::string_view name,
                                   std::string_view value) {
  connection.execute("INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                     {name, value});
  return installation_fact(connection, name).value_or("");
}

void lock_installation(db::Connection& connection) {
  // First a snapshot: PostgreSQL 15 does not watch a transaction for conflicts that got its number before its
  // snapshot, as one does that begins with this lock [measured].
  connection.query("SELECT 1", {}, [](const db::Row&) {});
  connection.execute("LOCK TABLE installation IN ACCESS EXCLUSIVE MODE");
}

bool replace_installation_fact(db::Connection& connection, std::string_view name, std::string_view before,
                               std::string_view value) {
  return connection.execute("UPDATE installation SET value = $3 WHERE name = $1 AND value = $2",
                            {name, before, value}) > 0;
}

}  // namespace wrenn::cp::store
