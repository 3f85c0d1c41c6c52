// The schema of the control plane: the files of /sql, embedded.
#pragma once

#include <vector>

#include "core/db/migrate.h"

namespace wrenn::cp::store {

std::vector<db::Migration> migrations();

// Brings the database to the schema of this program. As db::migrate().
db::Migrated migrate(db::Database& database);

}  // namespace wrenn::cp::store
