#include "cp/store/schema.h"

#include "core/base/check.h"
#include "core/base/text.h"
#include "cp/embedded_file.h"

namespace wrenn::cp::store {

std::vector<db::Migration> migrations() {
  std::vector<db::Migration> all;
  for (const auto& file : kMigrationFiles) {
    const auto number = parse_int<int>(file.name.substr(0, file.name.find('_')));
    WRENN_CHECK(number.has_value());
    all.push_back({*number, file.name, file.text});
  }
  return all;
}

db::Migrated migrate(db::Database& database) {
  return db::migrate(database, migrations());
}

}  // namespace wrenn::cp::store
