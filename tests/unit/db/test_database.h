// The database that a test of SQL gets: a SQLite file, or, below tests/postgres.sh, a schema of its own in
// the PostgreSQL that this started.
#pragma once

#include <cstdlib>
#include <optional>

#include "unit/db/temp_database.h"

class TestDatabase {
 public:
  TestDatabase() {
    const char* server = std::getenv("WRENN_TEST_POSTGRES");  // a URL with a '?' in it
    if (server == nullptr) {
      url_ = file_.emplace().url();
      return;
    }
    const std::string schema = "test_" + wrenn::random_hex(6);
    wrenn::db::open_database(server)->write_now(
        [&](wrenn::db::Connection& connection) { connection.run_script("CREATE SCHEMA " + schema); });
    url_ = server + ("&options=-csearch_path%3D" + schema);
  }

  const std::string& url() const { return url_; }
  std::unique_ptr<wrenn::db::Database> open() const { return wrenn::db::open_database(url_); }

 private:
  std::optional<TempDatabase> file_;
  std::string url_;
};
