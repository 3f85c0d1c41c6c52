// Migrations: numbered SQL texts, forward only, each applied once and in its own transaction.
//
// The table schema_migrations records number, name and SHA-256 of each applied text. A text that was changed
// after it was applied, and a database that a newer program has migrated further, are refused: both would
// make the schema something that no text describes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/db/database.h"

namespace wrenn::db {

struct Migration {
  int version = 0;        // 1, 2, …
  std::string_view name;  // "0001_identity.sql"
  std::string_view sql;
};

struct Migrated {
  int from = 0;  // 0: the database was empty
  int to = 0;
  std::string
      backup;  // file that holds the state before; empty if nothing was applied or there was nothing to save
};

// Brings the database to the last of `migrations`, which must be numbered 1, 2, … in order. Blocking. Throws
// Error(failed_precondition) for a changed text or a newer schema; what the database throws otherwise, with
// the migrations before the failed one applied.
Migrated migrate(Database& database, const std::vector<Migration>& migrations);

}  // namespace wrenn::db
