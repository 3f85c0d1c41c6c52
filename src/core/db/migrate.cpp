#include "core/db/migrate.h"

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/crypto/hash.h"
#include "core/log/log.h"

namespace wrenn::db {

namespace {

struct Applied {
  int version = 0;
  std::string name;
  std::string checksum;
};

std::vector<Applied> read_applied(Connection& connection) {
  std::vector<Applied> applied;
  connection.query(
      "SELECT version, name, checksum FROM schema_migrations ORDER BY version", {}, [&](const Row& row) {
        applied.push_back(
            {static_cast<int>(row.integer(0)), std::string(row.text(1)), std::string(row.text(2))});
      });
  return applied;
}

std::string checksum_of(const Migration& migration) {
  return hex_encode(crypto::sha256(migration.sql));
}

void check_history(const std::vector<Applied>& applied, const std::vector<Migration>& migrations) {
  const int known = static_cast<int>(migrations.size());
  for (std::size_t i = 0; i < applied.size(); ++i) {
    const auto& past = applied[i];
    if (past.version > known)
      throw_error(ErrorCode::failed_precondition,
                  "the database has schema version {} ({}), but this wrenn knows only versions up to {}: run "
                  "the newer "
                  "wrenn that migrated it, or restore the backup (*.bak) that it made",
                  applied.back().version, applied.back().name, known);
    if (past.version != static_cast<int>(i) + 1)
      throw_error(ErrorCode::failed_precondition,
                  "the database lacks migration {} although {} is applied: schema_migrations was edited; "
                  "restore a backup",
                  i + 1, past.name);
    const auto& text = migrations[i];
    if (past.checksum != checksum_of(text))
      throw_error(
          ErrorCode::failed_precondition,
          "migration {} was changed after it had been applied to this database (then {}…, now {}…): put its "
          "text back and write the change as a new migration",
          text.name, past.checksum.substr(0, 12), checksum_of(text).substr(0, 12));
  }
}

}  // namespace

Migrated migrate(Database& database, const std::vector<Migration>& migrations) {
  for (std::size_t i = 0; i < migrations.size(); ++i)
    WRENN_CHECK(migrations[i].version == static_cast<int>(i) + 1);

  std::vector<Applied> applied;
  database.alone_now([&](Connection& connection) {
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT "
        "NULL)");
    applied = read_applied(connection);
  });
  check_history(applied, migrations);

  Migrated result;
  result.from = static_cast<int>(applied.size());
  result.to = result.from;
  if (applied.size() == migrations.size()) return result;
  if (result.from > 0) {
    auto backup = database.backup_now(fmt::format("schema-{}", result.from));
    if (backup) result.backup = std::move(*backup);
  }

  for (const auto& migration : migrations) {
    if (migration.version <= result.from) continue;
    database.alone_now([&](Connection& connection) {
      // Another process may have migrated since: its texts must be ours, and what it did is not done again.
      const auto current = read_applied(connection);
      check_history(current, migrations);
      if (static_cast<int>(current.size()) >= migration.version) return;
      try {
        connection.run_script(migration.sql);
      } catch (const Error& error) {
        throw_error(error.code(), "migration {}: {}; nothing of it was kept", migration.name, error.what());
      }
      connection.execute(
          "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
          {migration.version, migration.name, checksum_of(migration), now().us});
    });
    result.to = migration.version;
    log::info("schema migrated", {{"migration", migration.name}});
  }
  return result;
}

}  // namespace wrenn::db
