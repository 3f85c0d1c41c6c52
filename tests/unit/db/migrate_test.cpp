#include "core/db/migrate.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "unit/db/temp_database.h"

using namespace wrenn;
using db::Connection;
using db::Migration;
using db::Row;

namespace {

const std::vector<Migration> kFirst{
    {1, "0001_a.sql", "CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1);"}};
const std::vector<Migration> kBoth{kFirst[0], {2, "0002_b.sql", "ALTER TABLE a ADD COLUMN y TEXT;"}};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::int64_t ask(db::Database& database, std::string_view sql) {
  std::int64_t answer = -1;
  database.read_now(
      [&](Connection& c) { c.query(sql, {}, [&](const Row& row) { answer = row.integer(0); }); });
  return answer;
}

}  // namespace

TEST_CASE("migrations are applied once, in order, without a backup of nothing") {
  TempDatabase temp;
  const auto database = temp.open();
  auto done = db::migrate(*database, kBoth);
  CHECK(done.from == 0);
  CHECK(done.to == 2);
  CHECK(done.backup.empty());
  done = db::migrate(*database, kBoth);
  CHECK(done.from == 2);
  CHECK(done.to == 2);
  CHECK(done.backup.empty());
  CHECK(ask(*database, "SELECT COUNT(*) FROM a") == 1);
  CHECK(ask(*database,
            "SELECT COUNT(*) FROM schema_migrations WHERE applied_at > 0 AND length(checksum) = 64") == 2);
}

TEST_CASE("an existing database is copied before it is changed") {
  TempDatabase temp;
  const auto database = temp.open();
  db::migrate(*database, kFirst);
  database->write_now([](Connection& c) { c.execute("INSERT INTO a VALUES (2)"); });
  const auto done = db::migrate(*database, kBoth);
  CHECK(done.from == 1);
  CHECK(done.to == 2);
  REQUIRE(done.backup == temp.file().string() + ".schema-1.bak");
  struct stat facts{};
  REQUIRE(::stat(done.backup.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);

  const auto backup = db::open_database("sqlite://" + done.backup);
  CHECK(ask(*backup, "SELECT COUNT(*) FROM a") == 2);
  CHECK(ask(*backup, "SELECT MAX(version) FROM schema_migrations") == 1);
  // The copy is as good as the original: it can be migrated itself.
  CHECK(db::migrate(*backup, kBoth).to == 2);
}

TEST_CASE("a newer schema is refused and untouched") {
  TempDatabase temp;
  const auto database = temp.open();
  db::migrate(*database, kBoth);
  const auto message = message_of([&] { db::migrate(*database, kFirst); });
  CHECK(message.find("schema version 2 (0002_b.sql)") != std::string::npos);
  CHECK(message.find("newer wrenn") != std::string::npos);
  CHECK(ask(*database, "SELECT COUNT(*) FROM schema_migrations") == 2);
}

TEST_CASE("a text that was changed after it was applied is refused") {
  TempDatabase temp;
  const auto database = temp.open();
  db::migrate(*database, kFirst);
  const std::vector<Migration> changed{{1, "0001_a.sql", "CREATE TABLE a (x BIGINT, z TEXT);"}, kBoth[1]};
  const auto message = message_of([&] { db::migrate(*database, changed); });
  CHECK(message.find("0001_a.sql was changed") != std::string::npos);
  CHECK(ask(*database, "SELECT COUNT(*) FROM schema_migrations") == 1);
}

TEST_CASE("a hole in the history is refused") {
  TempDatabase temp;
  const auto database = temp.open();
  db::migrate(*database, kBoth);
  database->write_now([](Connection& c) { c.execute("DELETE FROM schema_migrations WHERE version = 1"); });
  CHECK(message_of([&] { db::migrate(*database, kBoth); }).find("lacks migration 1") != std::string::npos);
}

TEST_CASE("a migration that fails keeps nothing of itself and all before it") {
  TempDatabase temp;
  const auto database = temp.open();
  const std::vector<Migration> broken{kFirst[0],
                                      {2, "0002_b.sql", "CREATE TABLE b (x BIGINT); CREATE TABEL c (x);"}};
  const auto message = message_of([&] { db::migrate(*database, broken); });
  CHECK(message.find("0002_b.sql") != std::string::npos);
  CHECK(message.find("nothing of it was kept") != std::string::npos);
  CHECK(ask(*database, "SELECT COUNT(*) FROM schema_migrations") == 1);
  CHECK(ask(*database, "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('b', 'c')") == 0);
  // Mended, it goes on from there.
  CHECK(db::migrate(*database, kBoth).from == 1);
}
